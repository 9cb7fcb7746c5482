"""Submissions to GLUE's test server (gluebenchmark.com), whose labels nobody else has.

One trained model for each task answers its test split. In reading order:

`server`      the files that the server takes, and how answers are written
`answers`     predictions of a trained model for texts without labels
`submission`  training the models and writing the zip
"""
