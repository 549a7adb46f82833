"""Names, venues and signs as bibliographies write them."""
