"""A joint embedding whose tokens attend to each other."""
