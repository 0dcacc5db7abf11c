"""What varies: recipes, tasks, attacks and suites as TOML files, and the registry of the code that they name."""
