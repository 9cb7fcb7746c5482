"""What masks and pruned models say beside their scores: `transfer`, `overlap` and `attention`.

What draws imports no torch; nothing above but the command line imports it.
"""
