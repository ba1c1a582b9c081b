"""Many runs for one answer: recipes side by side under the same conditions, and the search for a recipe's settings."""
