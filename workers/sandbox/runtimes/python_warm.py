# An interpreter that was started ahead: it has what most programs import, waits for its one job and becomes it.
import bisect, collections, datetime, functools, heapq, importlib, io, itertools, json, math, os, random, re, socket, string, sys, typing


def become(path):
    name = os.path.abspath(path)
    sys.argv = [path]
    sys.path[0] = os.path.dirname(name)
    own, start = globals(), own_names()
    own.clear()
    own.update(start, __file__=name)
    try:
        with open(name, "rb") as f:
            text = f.read()
        exec(compile(text, name, "exec"), own)
    except SystemExit:
        raise
    except BaseException as e:  # told as if this frame had never been
        trace = e.__traceback__
        while trace and trace.tb_frame.f_globals is own and trace.tb_frame.f_code.co_name == "become":
            trace = trace.tb_next
        sys.excepthook(type(e), e.with_traceback(trace), trace)
        sys.exit(1)


def own_names():
    return {"__name__": "__main__", "__doc__": None, "__package__": None, "__loader__": __loader__, "__spec__": None, "__builtins__": __builtins__}


if os.read(200, 1):
    os.close(200)
    become(sys.argv[1])
