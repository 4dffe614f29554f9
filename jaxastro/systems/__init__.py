"""Ten analyses, one room each; `catalogue` lists them."""
