"""Options that every method has, and levels that a method has alone: labels, recipes, keys and errors."""

from __future__ import annotations

import pytest
from plugin_files import plugin_file
from samples import EXPERIMENT

from prunebench import Compact, Cubic, Prune, PrunebenchError, Reinit, Rewind, Shuffle, Train
from prunebench.hooks.registry import Registry
from prunebench.planning.compile import compile_plan
from prunebench.planning.levels import describe_unsupported, unsupported_levels
from prunebench.planning.methods import Method
from prunebench.recipes.reserved import strategy_labels
from prunebench.store.schema import Location

PRUNING = "    def prune(self, ctx, sparsity):\n        return ctx.mask\n\n@hookimpl"
TRAINING = "    def training(self, ctx):\n        return None\n\n@hookimpl"


@pytest.fixture(scope="module")
def registry():
    return Registry()


@pytest.fixture
def mine(tmp_path):
    """Returns a registry with the strategy `mine`, whose class has some more lines."""

    def make(addition="", recipe="[Train(), Prune(sparsity), Train()]", attributes=""):
        file = plugin_file(tmp_path, recipe)
        text = file.read_text().replace("@hookimpl", addition or "@hookimpl")
        file.write_text(text.replace("    power:", f"    {attributes}\n    power:"))
        return Registry([file])

    return make


def recipe(text, sparsity, registry):
    return [step.phase for step in Method(text, registry).steps(sparsity)]


def plan_of(registry, strategies, levels=(0.5,)):
    return compile_plan([EXPERIMENT], strategies, {"rte": levels}, registry, Location())


def keys(registry, *strategies, level=0.5):
    """The key of each strategy's result, in order."""
    cells = plan_of(registry, strategies, (level,)).cells
    return [cell.leaf.key for text in strategies for cell in cells if cell.method.label == Method(text, registry).label]


# --- labels and recipes ---


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("magnitude[scope=row]", "magnitude[scope=row]"),
        ("magnitude[scope=global]", "magnitude"),
        ("magnitude[schedule=one-shot,pattern=]", "magnitude"),
        ("imp[scope=erk,rate=0.2]", "imp[rate=0.2,scope=erk]"),
        ("imp[schedule=ladder,pattern=4x1,scope=row]", "imp[scope=row,pattern=4x1,schedule=ladder]"),
        ("random-pruning[of=magnitude[scope=row]]", "random-pruning[of=magnitude[scope=row]]"),
    ],
)
def test_labels_name_options_that_are_not_at_their_default_in_a_fixed_order(text, label, registry):
    assert Method(text, registry).label == label
    assert Method(label, registry).label == label


def test_scope_and_pattern_are_set_in_every_phase_that_prunes(registry):
    row = [Train(), Prune(0.1, scope="row"), Rewind(), Train(), Prune(0.2, scope="row"), Rewind(), Train()]
    assert recipe("imp[scope=row]", 0.2, registry) == row
    assert recipe("magnitude[pattern=4x1,scope=layer]", 0.5, registry) == [
        *(Train(), Prune(0.5, scope="layer", pattern="4x1"), Train())
    ]
    info = Method("imp[scope=row]", registry).info
    assert (info.strategy, info.options["scope"]) == ("imp", "row")


def test_a_ladder_has_steps_of_a_tenth(registry):
    steps = [Prune(level) for level in (0.1, 0.2, 0.3, 0.35)]
    assert recipe("magnitude[schedule=ladder]", 0.35, registry) == [Train(), *steps, Train()]
    # A step that an earlier phase has reached is left out.
    assert recipe("imp[rate=0.25,schedule=ladder]", 0.5, registry) == [
        *(Train(), Prune(0.1), Prune(0.2), Prune(0.25), Rewind(), Train()),
        *(Prune(0.3), Prune(0.4), Prune(0.5), Rewind(), Train()),
    ]


def test_a_cubic_moves_the_pruning_into_the_training_behind_it(registry, mine):
    assert recipe("magnitude[schedule=cubic,scope=row]", 0.5, registry) == [
        *(Train(), Train(Cubic(0.5, initial=0.0), scope="row"))
    ]
    twice = mine(recipe="[Prune(0.2), Train(), Prune(sparsity), Train()]")
    assert recipe("mine[schedule=cubic]", 0.5, twice) == [Train(Cubic(0.2)), Train(Cubic(0.5, initial=0.2))]


@pytest.mark.parametrize(
    ("phases", "reason"),
    [
        ("[Train(), Prune(sparsity)]", "none follows the last Prune"),
        ("[Prune(0.1), Prune(sparsity), Train()]", "and Prune follows it"),
    ],
)
def test_a_cubic_needs_a_training_behind_the_pruning(mine, phases, reason):
    with pytest.raises(PrunebenchError, match=reason):
        Method("mine[schedule=cubic]", mine(recipe=phases)).steps(0.5)


def test_a_control_prunes_as_its_method_does(registry):
    assert recipe("random-pruning[of=magnitude[scope=row]]", 0.5, registry) == [
        *(Train(), Prune(0.5, scope="row"), Shuffle("layer"), Train())
    ]
    assert recipe("random-reinit[of=magnitude[scope=row]]", 0.5, registry) == [
        *(Train(), Prune(0.5, scope="row"), Reinit(), Train())
    ]
    # A random mask without the pattern would be a control of something else.
    assert recipe("random-pruning[of=magnitude[pattern=2:4]]", 0.5, registry)[1:3] == [
        *(Prune(0.5, pattern="2:4"), Shuffle("layer", pattern="2:4"))
    ]
    assert recipe("random-reinit[of=magnitude[pattern=4x1],counts=global]", 0.5, registry)[1:3] == [
        *(Prune(0.5, pattern="4x1"), Shuffle("global", pattern="4x1"))
    ]


def test_a_rewind_resets_a_pruned_model_before_it_is_trained(registry):
    assert recipe("heads[rewind=init]", 0.5, registry) == [Train(), Prune(0.5), Rewind(), Train(), Compact()]
    assert recipe("magnitude[rewind=0.1,schedule=ladder]", 0.2, registry) == [
        *(Train(), Prune(0.1), Prune(0.2), Rewind(0.1), Train())
    ]
    assert recipe("random-pruning[of=heads[rewind=init]]", 0.5, registry) == [
        *(Train(), Prune(0.5), Shuffle(), Rewind(), Train(), Compact())
    ]
    learned, *rest = recipe("heads[rewind=3,teacher=dense]", 0.5, registry)[2:4]
    assert (learned, [phase.taught_by for phase in rest]) == (Rewind(3), ["dense"])
    # `imp` has an option of that name itself, and rewinds once.
    assert recipe("imp[rewind=0.1]", 0.1, registry) == [Train(), Prune(0.1), Rewind(0.1), Train()]


def test_every_round_is_rewound_and_a_second_training_is_not(mine):
    rounds = mine(recipe="[Train(), Prune(0.2), Train(), Train(), Prune(sparsity), Train()]")
    assert recipe("mine[rewind=init]", 0.5, rounds) == [
        *(Train(), Prune(0.2), Rewind(), Train(), Train(), Prune(0.5), Rewind(), Train())
    ]
    learned = mine(TRAINING, recipe="[Train(sparsity, callback=True), Train()]")
    assert recipe("mine[rewind=init]", 0.5, learned) == [Train(0.5, callback=True), Rewind(), Train()]


@pytest.mark.parametrize("text", ["magnitude-init[rewind=init]", "magnitude[schedule=cubic,rewind=init]"])
def test_a_recipe_that_never_trains_a_pruned_model_again_takes_no_rewind(text, registry):
    with pytest.raises(PrunebenchError, match="no training of the recipe follows a pruning of a trained model"):
        Method(text, registry).steps(0.5)


def test_the_labels_of_the_strategy_of_a_method():
    assert strategy_labels("imp[rate=0.2,rewind=0.1,scope=row]") == [
        *("imp[rate=0.2,rewind=0.1,scope=row]", "imp[rate=0.2,rewind=0.1]", "imp[rate=0.2]")
    ]
    assert strategy_labels("random-pruning[of=imp[rewind=1]]") == ["random-pruning[of=imp[rewind=1]]"]
    assert strategy_labels("heads[rewind=init]") == ["heads[rewind=init]", "heads"]


# --- keys ---


def test_an_option_at_its_default_changes_no_key(registry):
    plain, default = keys(registry, "magnitude")[0], keys(registry, "magnitude[scope=global,schedule=one-shot]")[0]
    assert plain == default
    plan = plan_of(registry, ["magnitude", "random-pruning[of=magnitude]"])
    assert [node.step.data for node in plan.cells[-1].leaf.path()] == [
        *({"phase": "Train", "sparsity": None}, {"phase": "Prune", "sparsity": 0.5}),
        *({"phase": "Shuffle", "counts": "layer"}, {"phase": "Train", "sparsity": None}),
    ]


def test_every_option_changes_the_key(registry):
    texts = ["magnitude", "magnitude[scope=row]", "magnitude[scope=layer]", "magnitude[scope=erk]",
             "magnitude[pattern=2:4]", "magnitude[pattern=4x1]", "magnitude[schedule=ladder]",
             "magnitude[schedule=cubic]", "magnitude[rewind=init]", "magnitude[rewind=1]"]  # fmt: skip
    assert len(set(keys(registry, *texts))) == len(texts)


def test_scopes_share_the_training_and_the_strategy_that_is_asked_for_scores(registry):
    plan = plan_of(registry, ["magnitude", "magnitude[scope=row]", "magnitude[scope=layer]"])
    prunes = [node for node in plan.nodes() if isinstance(node.phase, Prune)]
    assert sum(isinstance(node.phase, Train) for node in plan.nodes()) == 2 + 3, "dense, and dense trained twice"
    assert len({node.parent for node in prunes}) == 1
    assert {node.strategy for node in prunes} == {"magnitude"}


# --- errors ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("magnitude[scope=rwo]", "unknown scope 'rwo' (did you mean 'row'?)"),
        ("magnitude[schedule=cubics]", "unknown schedule 'cubics' (did you mean 'cubic'?)"),
        ("magnitude[pattern=2-4]", "cannot read pattern '2-4'"),
        ("magnitude[pattern=4:2]", "a pattern n:m needs 0 < n < m, got 4:2"),
        ("magnitude[pattern=2:4,scope=row]", "pattern 2:4 leaves no choice to scope 'row'"),
        ("heads[rewind=inti]", "bad rewind 'inti'"),
        ("heads[rewind=1.5]", "cannot rewind to 1.5"),
        ("heads[rewind=-1]", "cannot rewind to -1"),
        ("magnitude[scop=row]", "unknown option of magnitude: 'scop' (did you mean 'scope'?)"),
        ("random-pruning[scope=row]", "strategy 'random-pruning' takes no option 'scope'"),
        ("dense[scope=row]", "strategy 'dense'"),
    ],
)
def test_bad_values_are_one_line(text, message, registry):
    with pytest.raises(PrunebenchError) as caught:
        Method(text, registry).steps(0.5)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("addition", [PRUNING, TRAINING])
@pytest.mark.parametrize("option", ["scope=row", "pattern=4x1", "schedule=ladder"])
def test_a_strategy_that_makes_masks_itself_takes_what_it_lists(mine, addition, option):
    with pytest.raises(PrunebenchError, match=f"'mine' takes no option '{option.partition('=')[0]}'"):
        Method(f"mine[{option}]", mine(addition))
    listed = mine(addition, attributes=f"axes = ('{option.partition('=')[0]}',)")
    assert Method(f"mine[{option}]", listed).label == f"mine[{option}]"


def test_a_recipe_that_has_an_axis_already_is_not_overwritten(mine):
    registry = mine(recipe="[Train(), Prune(sparsity, scope='layer'), Train()]")
    assert recipe("mine[scope=layer]", 0.5, registry)[1] == Prune(0.5, scope="layer")
    with pytest.raises(PrunebenchError, match="has scope 'layer' already"):
        Method("mine[scope=row]", registry).steps(0.5)


def test_heads_are_no_rows(registry):
    assert recipe("heads[scope=layer]", 0.5, registry)[1] == Prune(0.5, scope="layer")
    for option in ("scope=row", "scope=erk", "pattern=4x1"):
        with pytest.raises(PrunebenchError, match="selects heads by rows or patterns of weights"):
            Method(f"heads[{option}]", registry).steps(0.5)


# --- levels ---


def test_levels_that_a_pattern_lacks_are_no_cells(registry):
    plan = plan_of(registry, ["magnitude", "magnitude[pattern=2:4]"], (0.3, 0.5, 0.7))
    levels = {}
    for cell in plan.cells:
        levels.setdefault(cell.method.label, []).append(cell.sparsity)
    assert levels.pop("dense[trainings=2]") == [0.0]
    assert levels == {"dense": [0.0], "magnitude": [0.3, 0.5, 0.7], "magnitude[pattern=2:4]": [0.5]}
    reasons = {0.3: "pattern 2:4 has sparsity 0.5", 0.7: "pattern 2:4 has sparsity 0.5"}
    assert unsupported_levels((cell.method, cell.sparsity) for cell in plan.cells) == {
        "magnitude[pattern=2:4]": reasons
    }
    assert plan.cells[-1].to_cell().unsupported == {str(level): reason for level, reason in reasons.items()}
    assert describe_unsupported("magnitude[pattern=2:4]", reasons) == (
        "magnitude[pattern=2:4] has no model at 0.3, 0.7: pattern 2:4 has sparsity 0.5"
    )


def test_a_strategy_declares_its_levels_and_its_control_has_the_same(mine):
    registry = mine(attributes="levels = (0.25, 0.5)")
    plan = plan_of(registry, ["mine", "random-pruning[of=mine]"], (0.3, 0.5))
    assert [(cell.method.label, cell.sparsity) for cell in plan.cells] == [
        *(("dense", 0.0), ("dense[trainings=2]", 0.0), ("mine", 0.5), ("random-pruning[of=mine]", 0.5))
    ]
    assert [cell.method.unsupported for cell in plan.cells[2:]] == [{"0.3": "mine has the levels 0.25, 0.5"}] * 2


def test_a_method_without_any_of_the_levels_is_refused(registry, mine):
    with pytest.raises(PrunebenchError, match=r"has no model at 0\.3, 0\.4: pattern 2:4 has sparsity 0\.5"):
        plan_of(registry, ["magnitude[pattern=2:4]"], (0.3, 0.4))
    with pytest.raises(PrunebenchError, match=r"mine has no model at 0\.3: mine has the levels 0\.5"):
        plan_of(mine(attributes="levels = (0.5,)"), ["mine"], (0.3,))


def test_a_level_of_a_newer_plan_is_no_level_that_is_missing(registry):
    lacking = Method("magnitude", registry).info.model_copy(update={"unsupported": {"0.3": "old code"}})
    assert unsupported_levels([(lacking, 0.5)]) == {"magnitude": {0.3: "old code"}}
    assert unsupported_levels([(lacking, 0.5), (lacking, 0.3)]) == {}
