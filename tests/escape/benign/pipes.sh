# expect: ok
# stdout: 3
printf 'a\nb\nc\n' | sort -r | tee copy | wc -l
