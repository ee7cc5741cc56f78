"""The layers import downwards only; `[tool.importlinter]` in pyproject.toml says what that means."""

from importlinter.application.use_cases import lint_imports


def test_imports_keep_to_the_layers() -> None:
    assert lint_imports(config_filename="pyproject.toml", cache_dir=None, no_logo=True)
