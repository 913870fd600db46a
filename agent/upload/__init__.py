"""Upload: carries stored clips to every target and commits what each target vouches for."""
