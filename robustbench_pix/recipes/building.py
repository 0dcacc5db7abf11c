"""Recipes by reference: the object behind a registered class or function, and the network that it trains."""

import inspect
from typing import Any, cast

import torch
from torch import Tensor, nn

from robustbench_pix.errors import UserError
from robustbench_pix.foreign import foreign_code
from robustbench_pix.randomness import global_streams
from robustbench_pix.recipes.contract import Recipe, RecipeContext, defines
from robustbench_pix.regularizers.base import DEFAULT_PAIRS, FunctionRegularizer


def build_recipe(target: Any, context: RecipeContext, parameters: dict[str, Any], name: str) -> Recipe:
    """Return the recipe behind a registered class or function; its weight ``alpha`` is not among the parameters.

    Raises:
        UserError: it does not accept the parameters, raised, or is neither a class nor a function.
    """
    require_known_parameters(target, parameters, name)
    if isinstance(target, type):
        try:
            with foreign_code():
                recipe: Recipe = target(context, **parameters)
        except UserError:
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise UserError(f"The recipe {name!r} could not be built: {what}{_absent(error, context)}.") from error
        return recipe
    own = {name: value for name, value in parameters.items() if name != "pairs"}
    return FunctionRegularizer(context, penalty=target, pairs=parameters.get("pairs", DEFAULT_PAIRS), **own)


def _absent(error: Exception, context: RecipeContext) -> str:
    """Return what the images lack, where a recipe took None for it."""
    lacking = [name for name in ("labels", "recording") if getattr(context, name) is None]
    return f" (its images have no {' and no '.join(lacking)})" if lacking and "NoneType" in str(error) else ""


def recipe_network(
    target: Any, network: nn.Module, parameters: dict[str, Any], name: str, *, channels: int, classes: int, seed: int
) -> nn.Module:
    """Return the network that a recipe trains, on the CPU; equal seeds give equal weights.

    Raises:
        UserError: it refused the parameters, or what it gave has no ``features``.
    """
    if not defines(target, "network"):
        return network
    with global_streams("recipe-network", seed):
        try:
            with foreign_code():
                changed = target.network(network, channels=channels, classes=classes, **parameters)
        except TypeError as error:
            raise UserError(f"The network of the recipe {name!r} refused its parameters: {error}.") from error
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"The network of the recipe {name!r} raised {type(error).__name__}: {error}.") from error
    if not isinstance(changed, nn.Module) or not callable(getattr(changed, "features", None)):
        raise UserError(
            f"The network of the recipe {name!r} must be a torch module with a method features(images) -> list of maps."
        )
    return changed


@torch.no_grad()
def require_maps_and_logits(network: nn.Module, images: Tensor, *, classes: int, name: str) -> None:
    """Refuse a recipe's network, in eval mode, whose answers to images in [0, 1], (N, C, H, W), have another form.

    Raises:
        UserError: its features are no list of maps (N, C, H, W), its logits not (N, classes), or it raised.
    """
    try:
        with foreign_code():
            maps, logits = cast(Any, network).features(images), network(images)
    except Exception as error:
        raise UserError(f"The network of the recipe {name!r} raised {type(error).__name__}: {error}.") from error
    listed = isinstance(maps, list | tuple) and len(maps) > 0
    if not listed or not all(isinstance(layer, Tensor) and layer.ndim == 4 for layer in maps):
        found = ", ".join(map(_described, maps)) if listed else _described(maps)
        raise UserError(
            f"The method features(images) of the network of the recipe {name!r} must return a list of maps of shape "
            f"(N, C, H, W) (got {found})."
        )
    if not isinstance(logits, Tensor) or logits.shape != (len(images), classes):
        raise UserError(
            f"The network of the recipe {name!r} must return logits of shape (N, {classes}) (got {_described(logits)} "
            f"for {len(images)} images)."
        )


def _described(value: Any) -> str:
    """Return a tensor's shape, or the type of what is none."""
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def require_known_parameters(target: Any, parameters: dict[str, Any], name: str) -> None:
    """Refuse parameters that the class or function behind a recipe does not take.

    Raises:
        UserError: there are such parameters, or the object is neither a class of recipes nor a function.
    """
    if isinstance(target, type) and issubclass(target, Recipe):
        known, own = list(inspect.signature(target.__init__).parameters.values())[2:], set(parameters)
    elif not isinstance(target, type) and callable(target):
        known, own = list(inspect.signature(target).parameters.values())[1:], set(parameters) - {"pairs"}
    else:
        raise UserError(f"The recipe {name!r} is neither a class derived from Recipe nor a function.")
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known):
        return
    names = [parameter.name for parameter in known]
    if wrong := sorted(own - set(names)):
        takes = ", ".join(names) or "none"
        raise UserError(f"The recipe {name!r} has no parameter {', '.join(wrong)}; it takes: {takes}.")
