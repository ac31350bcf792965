# expect: output_limit
yes airlock
