"""The loop that plays any model: budgets, optimizers, averages, precision, checkpoints, several processes."""
