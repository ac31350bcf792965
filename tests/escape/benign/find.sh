# expect: ok
# stdout: ./a/b/c
mkdir -p a/b && touch a/b/c && find . -type f -name c
