# expect: ok
# stdout: {'a': {1, 2}}
import pickle; print(pickle.loads(pickle.dumps({"a": {1, 2}})))
