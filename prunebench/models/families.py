"""The built-in families of encoders."""

from __future__ import annotations

from dataclasses import replace

from prunebench.models.architecture import Architecture

BERT = Architecture(
    name="bert",
    doc="BERT and models with its layout, such as MiniLM (Devlin et al. 2019).",
    model_types=("bert",),
    layers="encoder.layer",
    attention="attention.self",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    attention_output="attention.output.dense",
    intermediate="intermediate.dense",
    output="output.dense",
    pooler="pooler.dense",
    after_attention="attention.output",
    examples=(
        "google-bert/bert-base-uncased",
        "google-bert/bert-base-cased",
        "google-bert/bert-large-uncased",
        "nreimers/MiniLM-L6-H384-uncased",
        "sentence-transformers/all-MiniLM-L6-v2",
    ),
)

ROBERTA = replace(
    BERT,
    name="roberta",
    doc="RoBERTa, XLM-RoBERTa and CamemBERT (Liu et al. 2019); their classifier does not use the pooler.",
    model_types=("roberta", "xlm-roberta", "camembert"),
    pooler="",
    positions_after_padding=True,
    examples=(
        "FacebookAI/roberta-base",
        "FacebookAI/roberta-large",
        "FacebookAI/xlm-roberta-base",
        "almanach/camembert-base",
        "distilbert/distilroberta-base",
    ),
)

DISTILBERT = Architecture(
    name="distilbert",
    doc="DistilBERT (Sanh et al. 2019).",
    model_types=("distilbert",),
    layers="transformer.layer",
    attention="attention",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    attention_output="attention.out_lin",
    intermediate="ffn.lin1",
    output="ffn.lin2",
    after_attention="sa_layer_norm",
    examples=("distilbert/distilbert-base-uncased", "distilbert/distilbert-base-cased"),
)

ELECTRA = replace(
    BERT,
    name="electra",
    doc="ELECTRA discriminators (Clark et al. 2020).",
    model_types=("electra",),
    pooler="",
    examples=("google/electra-small-discriminator", "google/electra-base-discriminator"),
)

FAMILIES: tuple[Architecture, ...] = (BERT, ROBERTA, DISTILBERT, ELECTRA)
