'use strict';
/*
 * Runs a test in code against a program in another process, so that the program cannot make the verdict.
 *
 * This process holds the test and never runs a line of the program.  A child, started after the test was read and deleted, runs the program
 * and answers over a socket.  What comes back is data: plain values are rebuilt here; functions, classes and instances stay there and are only
 * referred to (remote).  The verdict is this process's exit code: 0 only when the test has come to its end and nothing is left to wait for.
 * The jail gives both no /proc and no ptrace; the one other door into a node, its debugger, is shut below.  When the program ends before
 * it has answered, so does the test, in a way that no catch of the test sees.
 */
const fs = require('fs');
const net = require('net');
const path = require('path');
const { builtinModules } = require('module');

const PROGRAM = 'main.js', TEST = 'airlock_test', FD = 3, FRAME_BYTES = 64 * 1024 * 1024, DEPTH = 1000;
const ERRORS = { Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError };
/* Bound by a program, these are ours in a test that forgot to ask for them. */
const PURE = new Set(['assert', 'assert/strict', 'util', 'path', 'events', 'url', 'querystring', 'string_decoder', 'buffer', 'crypto']);
const GLOBALS = new Set(Object.getOwnPropertyNames(globalThis).concat('require', 'module', 'exports', 'assert', '__filename', '__dirname'));
const OBJECT_MEMBERS = new Set(Object.getOwnPropertyNames(Object.prototype));
const builtins = new Map();
for (const name of Object.getOwnPropertyNames(globalThis)) {
	const d = Object.getOwnPropertyDescriptor(globalThis, name);
	if (d && typeof d.value === 'function')
		builtins.set(d.value, name);
}
/* Of node's functions these may come from the program: none makes code of a text. */
const HARMLESS = new Set(['Array', 'ArrayBuffer', 'BigInt', 'Boolean', 'Date', 'Error', 'Map', 'Number', 'Object', 'Promise', 'RangeError', 'RegExp', 'Set', 'String',
	'Symbol', 'SyntaxError', 'TypeError', 'isFinite', 'isNaN', 'parseFloat', 'parseInt', 'structuredClone', 'Buffer', 'URL', 'Uint8Array']);
const nap = new Int32Array(new SharedArrayBuffer(4));
const remotes = new WeakMap(); /* a remote of ours -> its key over there; an error of theirs, too */

class Channel {
	constructor(fd, socket, gone, closed = gone) {
		Object.assign(this, { fd, socket, gone, input: Buffer.alloc(0), table: new Map(), keys: new Map(), pending: new Map(), open: new Set(), early: new Map(), asked: 0, served: 0, waiting: 0 });
		socket.on('data', bytes => this.took(bytes));
		socket.on('close', () => { this.closed = true; closed(); });
		socket.on('error', () => { this.closed = true; closed(); });
	}

	send(message) {
		const text = Buffer.from(JSON.stringify(message));
		const frame = Buffer.alloc(4 + text.length);
		frame.writeUInt32BE(text.length);
		text.copy(frame, 4);
		for (let at = 0; at < frame.length;)
			at += this.patiently(() => fs.writeSync(this.fd, frame, at));
	}

	/* The descriptor does not block, because the event loop reads it, too. */
	patiently(act) {
		if (this.closed)
			this.gone();
		for (let ms = 0.02; ; ms = Math.min(ms * 1.5, 2)) {
			try {
				return act();
			} catch (e) {
				if (e.code !== 'EAGAIN')
					this.gone();
			}
			Atomics.wait(nap, 0, 0, ms);
		}
	}

	frame() {
		if (this.input.length < 4)
			return null;
		const n = this.input.readUInt32BE();
		if (n > FRAME_BYTES)
			this.gone();
		if (this.input.length < 4 + n)
			return null;
		const text = this.input.toString('utf8', 4, 4 + n);
		this.input = this.input.subarray(4 + n);
		try {
			const message = JSON.parse(text);
			if (!Array.isArray(message))
				this.gone();
			return message;
		} catch {
			return this.gone();
		}
	}

	took(bytes) {
		this.input = Buffer.concat([this.input, bytes]);
		for (let m; (m = this.frame());)
			this.dispatch(m);
	}

	/* ["answer", id, ...] resolves what was asked without waiting; all else is a question. */
	dispatch(m) {
		if (m[0] !== 'answer')
			return this.serve(m);
		const done = this.pending.get(m[1]);
		this.pending.delete(m[1]);
		if (done)
			done(m);
		else if (this.open.has(m[1]))
			this.early.set(m[1], m); /* asked further out: who asked meanwhile is answered later */
	}

	/* Ask and wait here, serving the other side's questions meanwhile. */
	ask(op, ...rest) {
		const id = ++this.asked, piece = Buffer.alloc(65536);
		this.open.add(id);
		this.send([op, id, ...rest]);
		for (;;) {
			for (let m; !this.early.has(id) && (m = this.frame());)
				this.dispatch(m);
			if (this.early.has(id))
				return this.answered(id);
			const n = this.patiently(() => fs.readSync(this.fd, piece));
			if (n === 0)
				this.gone();
			this.input = Buffer.concat([this.input, piece.subarray(0, n)]);
		}
	}

	/* What came in one piece with the answer waits for the event loop, which hears of new bytes only. */
	answered(id) {
		const m = this.early.get(id);
		this.early.delete(id);
		this.open.delete(id);
		if (this.input.length > 0)
			setImmediate(() => this.took(Buffer.alloc(0)));
		return m;
	}

	/* Ask, and go on: told(answer) is called when it comes, before whatever comes behind it.  Gives the question's number. */
	post(op, rest, told) {
		const id = ++this.asked;
		this.send([op, id, ...rest]);
		if (++this.waiting === 1)
			this.socket.ref();
		this.pending.set(id, m => {
			if (--this.waiting === 0 && !this.stays)
				this.socket.unref();
			told(m);
		});
		return id;
	}

	later(op, ...rest) {
		return new Promise((resolve, reject) => this.post(op, rest, m => m[2] === 'value' ? resolve(this.unpack(m[3])) : reject(this.unpack(m[3]))));
	}

	register(v) {
		let key = this.keys.get(v);
		if (key === undefined) {
			key = this.table.size + 1;
			this.keys.set(v, key);
			this.table.set(key, v);
		}
		return key;
	}

	/* Scalars as they are, ["tag", ...] for the rest; what was seen in this value before, by its place. */
	pack(v, seen = new Map(), depth = 0) {
		if (v === null || typeof v === 'boolean' || typeof v === 'string')
			return v;
		if (typeof v === 'number')
			return Number.isFinite(v) && !Object.is(v, -0) ? v : ['number', Object.is(v, -0) ? '-0' : String(v)];
		if (v === undefined)
			return ['undefined'];
		if (typeof v === 'bigint')
			return ['bigint', String(v)];
		if (typeof v === 'symbol')
			return ['symbol', v.description ?? ''];
		if (remotes.has(v) && !(v instanceof Error))
			return ['home', remotes.get(v)];
		if (this.received?.has(v))
			return ['given', this.received.get(v)];
		if (seen.has(v))
			return ['same', seen.get(v)];
		if (depth > DEPTH)
			throw new RangeError('nested too deeply');
		if (typeof v === 'function')
			return builtins.has(v) && this.mayTake(builtins.get(v)) ? ['builtin', builtins.get(v)] : ['function', this.register(v), String(v.name)];
		const into = (tag, ...list) => [tag, ...list];
		seen.set(v, seen.size);
		const inner = x => this.pack(x, seen, depth + 1);
		if (Array.isArray(v))
			return into('array', Array.from({ length: v.length }, (_, i) => i in v ? inner(v[i]) : ['hole']));
		if (v instanceof Map)
			return into('map', [...Map.prototype.entries.call(v)].map(([k, x]) => [inner(k), inner(x)]));
		if (v instanceof Set)
			return into('set', [...Set.prototype.values.call(v)].map(inner));
		if (v instanceof Date)
			return into('date', inner(Date.prototype.getTime.call(v)));
		if (v instanceof RegExp)
			return into('regexp', v.source, v.flags);
		if (ArrayBuffer.isView(v) && !(v instanceof DataView)) {
			const kind = Buffer.isBuffer(v) ? 'Buffer' : Object.getPrototypeOf(Object.getPrototypeOf(v)) && v[Symbol.toStringTag];
			return into('bytes', kind, Buffer.from(v.buffer, v.byteOffset, v.byteLength).toString('base64'));
		}
		if (v instanceof Number || v instanceof String || v instanceof Boolean)
			return into('boxed', inner(v.valueOf()));
		if (v instanceof Error)
			return this.packError(v, inner);
		if (v instanceof Promise) {
			v.then(undefined, () => {}); /* whoever asks for it hears how it ended, and that may be after it has */
			return into('promise', this.register(v));
		}
		const proto = Object.getPrototypeOf(v);
		/* With methods it is more than data: they must find the object that they belong to. */
		if ((proto === Object.prototype || proto === null) && !Object.keys(v).some(k => typeof v[k] === 'function'))
			return into('object', proto === null, Object.keys(v).map(k => [k, inner(v[k])]));
		return into('instance', this.register(v), String(proto?.constructor?.name ?? ''));
	}

	packError(e, inner) {
		const chain = [];
		for (let p = Object.getPrototypeOf(e); p && chain.length < 20; p = Object.getPrototypeOf(p))
			chain.push(String(p.constructor?.name));
		const members = Object.keys(e).filter(k => k !== 'stack').map(k => [k, inner(e[k])]);
		return ['error', this.register(e), chain, String(e.name), String(e.message), members, inner(e.cause)];
	}

	unpack(v, seen = []) {
		if (!Array.isArray(v))
			return v;
		const [tag, a, b, c, d, e, f] = v;
		const inner = x => this.unpack(x, seen);
		const made = x => (seen.push(x), x);
		switch (tag) {
		case 'undefined': return undefined;
		case 'number': return Number(a);
		case 'bigint': return BigInt(a);
		case 'symbol': return Symbol(a);
		case 'home': return this.table.get(a);
		case 'same': return seen[a];
		case 'builtin': return this.mayBring(a) && builtins.has(globalThis[a]) ? globalThis[a] : this.gone();
		case 'given': return this.given?.[a];
		case 'array': {
			const list = made(new Array(a.length));
			a.forEach((x, i) => Array.isArray(x) && x[0] === 'hole' ? 0 : define(list, i, inner(x)));
			return list;
		}
		case 'map': {
			const map = made(new Map());
			a.forEach(([k, x]) => map.set(inner(k), inner(x)));
			return map;
		}
		case 'set': {
			const set = made(new Set());
			a.forEach(x => set.add(inner(x)));
			return set;
		}
		case 'object': {
			const o = made(a ? Object.create(null) : {});
			b.forEach(([k, x]) => define(o, String(k), inner(x)));
			return o;
		}
		case 'date': return made(new Date(inner(a)));
		case 'regexp': return made(new RegExp(a, b));
		case 'bytes': {
			const raw = Buffer.from(b, 'base64');
			const kind = a === 'Buffer' ? null : typeof a === 'string' && /^(Big)?(Uint|Int|Float)[0-9]+(Clamped)?Array$/.test(a) ? globalThis[a] : Uint8Array;
			return made(kind ? new kind(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length)) : raw);
		}
		case 'boxed': return made(Object(inner(a)));
		case 'error': {
			const kind = ERRORS[b.find(n => Object.hasOwn(ERRORS, n))] ?? Error;
			const error = made(new kind(d));
			if (c !== kind.name)
				define(error, 'name', c, false);
			e.forEach(([k, x]) => define(error, String(k), inner(x)));
			if (f && f[0] !== 'undefined')
				define(error, 'cause', inner(f), false);
			remotes.set(error, a);
			return error;
		}
		case 'promise': return made(this.later('await', a));
		case 'function': return this.remote(a, b, true);
		case 'instance': return made(this.remote(a, b, false));
		default: return this.gone();
		}
	}

	/* Something that stays in the other process. */
	remote(key, name, callable) {
		const known = this.seen?.get(key);
		if (known)
			return known;
		const target = callable ? function () {} : {};
		if (callable)
			define(target, 'name', name, false);
		const isInstance = v => (typeof v === 'object' || typeof v === 'function') && v !== null && remotes.has(v) &&
			this.request('isinstance', key, [['home', remotes.get(v)]]) === true;
		const proxy = new Proxy(target, {
			get: (t, p) => {
				if (p === Symbol.hasInstance && callable)
					return isInstance;
				if (callable && ['prototype', 'apply', 'call', 'bind', 'name'].includes(p))
					return t[p];
				if (typeof p === 'symbol')
					return p === Symbol.iterator || p === Symbol.asyncIterator ? this.iterator(key, p) : p === Symbol.toPrimitive ? hint => this.request('primitive', key, [hint]) : undefined;
				const got = this.request('get', key, [p]);
				return typeof got === 'function' && remotes.has(got) && !callable ?
					(...args) => this.request('method', key, [p, ...args.map(x => this.pack(x))], args) : got;
			},
			set: (t, p, v) => (this.request('set', key, [String(p), this.pack(v)]), true),
			has: (t, p) => typeof p === 'string' && this.request('has', key, [p]) === true,
			deleteProperty: (t, p) => this.request('delete', key, [String(p)]) === true,
			ownKeys: t => [...new Set([...this.request('keys', key, []).map(String), ...(callable ? Reflect.ownKeys(t) : [])])],
			getOwnPropertyDescriptor: (t, p) => callable && Object.hasOwn(t, p) ? Reflect.getOwnPropertyDescriptor(t, p) :
				typeof p === 'string' && this.request('keys', key, []).includes(p) ?
					{ value: this.request('get', key, [p]), enumerable: true, configurable: true, writable: true } : undefined,
			apply: (t, self, args) => this.request('call', key, args.map(x => this.pack(x)), args),
			construct: (t, args) => Object(this.request('new', key, args.map(x => this.pack(x)), args)),
		});
		remotes.set(proxy, key);
		(this.seen ??= new Map()).set(key, proxy);
		return proxy;
	}

	iterator(key, which) {
		const name = which === Symbol.iterator ? 'iterator' : 'asyncIterator';
		if (this.request('iterates', key, [name]) !== true)
			return undefined;
		return () => this.request('iterate', key, [name]);
	}

	/* What the other side did to the containers that it was given, it says behind its answer. */
	request(op, key, args, given = []) {
		const captured = this.captures?.();
		const [, , kind, value, changes, logs] = this.ask('do', op, key, args, captured);
		for (const [i, now] of changes ?? [])
			overwrite(given[i], this.unpack(now));
		this.given = given; /* what it gives back is what it was given, not a copy */
		for (const [method, list] of logs ?? []) {
			if (['log', 'info', 'warn', 'error', 'debug'].includes(method))
				console[method](...list.map(x => this.unpack(x)));
		}
		if (kind === 'raise')
			throw this.unpack(value);
		return this.unpack(value);
	}

	serve([op, id, ...rest]) {
		if (op === 'idle')
			return this.idle(id);
		if (op === 'await') {
			const held = this.table.get(rest[0]);
			if (!(held instanceof Promise))
				return this.gone();
			held.then(v => this.reply(id, 'value', v), e => this.reply(id, 'raise', e));
			return undefined;
		}
		if (op !== 'do')
			return this.gone();
		return this.perform(id, ...rest);
	}

	reply(id, kind, value, ...more) {
		let packed;
		try {
			packed = this.pack(value);
		} catch (e) {
			kind = 'raise';
			packed = this.pack(new RangeError(String(e?.message)));
		}
		this.send(['answer', id, kind, packed, ...more]);
	}
}

function define(o, name, value, enumerable = true) {
	Object.defineProperty(o, name, { value, enumerable, writable: true, configurable: true });
}

/* One that a parameter of the test's function may have. */
function isName(name) {
	if (typeof name !== 'string' || !/^[A-Za-z_$][\w$]*$/.test(name))
		return false;
	try {
		return Boolean(new (async () => {}).constructor(name, ''));
	} catch {
		return false;
	}
}

const isContainer = v => Array.isArray(v) || v instanceof Map || v instanceof Set || (v !== null && typeof v === 'object' && Object.getPrototypeOf(v) === Object.prototype);

function overwrite(mine, now) {
	if (Array.isArray(mine) && Array.isArray(now)) {
		mine.length = 0;
		now.forEach((x, i) => define(mine, i, x));
		mine.length = now.length;
	} else if ((mine instanceof Map && now instanceof Map) || (mine instanceof Set && now instanceof Set)) {
		mine.clear();
		now.forEach((x, k) => mine instanceof Map ? mine.set(k, x) : mine.add(x));
	} else if (isContainer(mine) && isContainer(now) && !Array.isArray(now)) {
		Object.keys(mine).forEach(k => delete mine[k]);
		Object.keys(now).forEach(k => define(mine, k, now[k]));
	}
}

/* ---- the test's side ---- */

class Tester extends Channel {
	mayBring(name) {
		return HARMLESS.has(name);
	}

	mayTake() {
		return true;
	}

	idle() {
		this.gone(); /* not for the program to ask */
	}

	captures() {
		return console.log !== this.log;
	}

	/* The program calls a function of the test, or looks at an object that the test made: no more than that. */
	perform(id, op, key, args) {
		this.served++;
		try {
			const mine = this.table.get(key);
			const values = list => list.map(x => this.unpack(x));
			let value;
			if (op === 'call' && typeof mine === 'function')
				value = mine(...values(args));
			else if (typeof mine === 'function' && op === 'get')
				value = args[0] === 'length' ? mine.length : undefined; /* of a function there is nothing else to know */
			else if (typeof mine !== 'object' || mine === null || (args.length > 0 && (typeof args[0] !== 'string' || OBJECT_MEMBERS.has(args[0]))))
				throw new TypeError('not for the program under test');
			else if (op === 'get')
				value = mine[args[0]];
			else if (op === 'method' && typeof mine[args[0]] === 'function')
				value = mine[args[0]](...values(args.slice(1)));
			else if (op === 'set')
				mine[args[0]] = this.unpack(args[1]);
			else if (op === 'keys')
				value = Object.keys(mine);
			else if (op === 'has')
				value = args[0] in mine;
			else if (op === 'iterates')
				value = typeof mine[Symbol[args[0] === 'iterator' ? 'iterator' : 'asyncIterator']] === 'function';
			else if (op === 'iterate')
				value = mine[Symbol[args[0] === 'iterator' ? 'iterator' : 'asyncIterator']]();
			else
				throw new TypeError('not for the program under test');
			this.reply(id, 'value', value);
		} catch (e) {
			if (e?.code === 'ERR_ASSERTION' && !remotes.has(e))
				this.failed(e); /* the program may not catch it */
			this.reply(id, 'raise', e);
		}
	}

	/* What the program defines, under its name; never what node itself defines or what the test judges with. */
	names(list) {
		const scope = new Map([['assert', require('assert')]]);
		for (const [name, kind, value] of list) {
			if (!isName(name) || GLOBALS.has(name) || OBJECT_MEMBERS.has(name))
				continue;
			if (kind === 'module')
				scope.set(name, PURE.has(value) || (value === name && builtinModules.includes(value)) ? require(value) : undefined);
			else if (kind === 'member' && PURE.has(value[0]))
				scope.set(name, require(value[0])[value[1]]);
			else if (kind === 'value')
				scope.set(name, this.unpack(value));
		}
		return scope;
	}
}

/* Nothing that the program may have written is loaded here. */
function requireFor(exported) {
	return name => {
		const bare = String(name).replace(/^node:/, '');
		if (builtinModules.includes(bare))
			return require(bare);
		if (path.resolve(String(name)).replace(/\.js$/, '') === path.resolve(PROGRAM).replace(/\.js$/, ''))
			return exported;
		throw new Error(`Cannot find module '${name}': a test has node's own modules and the program`);
	};
}

function testSide() {
	const { spawn } = require('child_process');
	const vm = require('vm');
	const text = fs.readFileSync(TEST, 'utf8');
	const source = fs.readFileSync(PROGRAM, 'utf8');
	const leave = process.reallyExit.bind(process);
	let child, over = false;
	const fail = why => {
		if (child)
			child.kill('SIGKILL');
		if (why)
			fs.writeSync(2, `${why}\n`);
		leave(1);
	};

	fs.unlinkSync(TEST);
	process.on('SIGUSR1', () => {}); /* else it starts node's debugger, which anyone on loopback may talk to */
	child = spawn(process.execPath, ['--max-old-space-size=256', __filename, 'program'], { stdio: ['inherit', 'inherit', 'inherit', 'pipe'] });
	const socket = child.stdio[FD];
	const ended = () => fail('the program under test ended before it answered');
	/* That it has ended is no matter only when the test is over and it has said, with nothing asked since, that it has nothing left to do. */
	let known = -1;
	const settled = () => over && c.waiting === 0 && c.asked + c.served === known;
	const c = new Tester(socket._handle.fd, socket, ended, () => settled() ? 0 : ended());
	c.failed = e => { show(e); fail(); };
	c.log = console.log;
	child.on('error', () => fail('the program under test could not be started'));
	const [, , , names, exported] = c.ask('load', [...new Set(source.match(/[A-Za-z_$][\w$]*/g) ?? [])]);
	child.unref();
	socket.unref();
	const scope = c.names(names);
	const exports = c.unpack(exported);
	scope.set('require', requireFor(exports));
	scope.set('module', { exports });
	scope.set('exports', exports);
	const show = e => fs.writeSync(2, `${e instanceof Error ? e.stack.split('\n').filter(l => !l.includes('airlock_harness') && !l.includes('node:')).join('\n') : String(e)}\n`);
	process.on('uncaughtException', e => { show(e); fail(); });
	process.on('unhandledRejection', e => { show(e); fail(); });
	/* What the program still has to do, it may do: a callback that comes late is of the test, too.  That it has nothing to do holds only
	 * if it was asked nothing after that question: a timer of the test may ask before the answer is here. */
	process.on('beforeExit', () => {
		if (c.asked + c.served === known)
			return;
		const last = c.post('idle', [], () => {
			if (c.asked === last)
				known = c.asked + c.served;
		});
	});
	process.on('exit', () => {
		child.kill('SIGKILL');
		if (!over) {
			fs.writeSync(2, 'the test did not come to its end\n');
			leave(1);
		}
	});
	/* In a block of its own, where it may give a name of the program a new meaning. */
	const make = vm.runInThisContext(`(async function (${[...scope.keys()].join(', ')}) {{${text}\n}})`, { filename: TEST });
	make(...scope.values()).then(() => { over = true; });
}

/* ---- the program's side: nothing here is trusted by the other ---- */

class Program extends Channel {
	mayBring() {
		return true;
	}

	mayTake(name) {
		return HARMLESS.has(name); /* others are called here */
	}

	idle(id) {
		this.socket.unref();
		process.once('beforeExit', () => {
			this.socket.ref();
			this.reply(id, 'value', null);
		});
	}

	perform(id, op, key, args, capture) {
		const values = op === 'call' || op === 'new' ? args.map(x => this.unpack(x)) : args.slice(1).map(x => this.unpack(x));
		const before = values.map(v => isContainer(v) ? JSON.stringify(this.pack(v)) : null);
		const logs = [], kept = {};
		if (capture) {
			for (const m of ['log', 'info', 'warn', 'error', 'debug']) {
				kept[m] = console[m];
				console[m] = (...list) => logs.push([m, list.map(x => this.pack(x))]);
			}
		}
		let kind = 'value', value;
		try {
			value = this.operate(op, this.table.get(key), args, values);
		} catch (e) {
			kind = 'raise';
			value = e;
		}
		Object.assign(console, kept);
		const changes = [];
		values.forEach((v, i) => {
			if (before[i] !== null && JSON.stringify(this.pack(v)) !== before[i])
				changes.push([i, this.pack(v)]);
		});
		this.received = new Map(values.map((v, i) => [v, i]).filter(([v]) => isContainer(v)));
		this.reply(id, kind, value, changes, logs);
		this.received = undefined;
	}

	operate(op, mine, args, values) {
		const symbol = Symbol[args[0]];
		switch (op) {
		case 'call': return mine(...values);
		case 'new': return new mine(...values);
		case 'method': return mine[args[0]](...values);
		case 'get': return mine[args[0]];
		case 'set': mine[args[0]] = values[0]; return undefined;
		case 'has': return args[0] in mine;
		case 'delete': return delete mine[args[0]];
		case 'keys': return Object.keys(mine);
		case 'isinstance': return this.unpack(args[0]) instanceof mine;
		case 'iterates': return typeof mine[symbol] === 'function';
		case 'iterate': return mine[symbol]();
		case 'primitive': return args[0] === 'number' ? Number(mine) : args[0] === 'string' ? String(mine) : mine[Symbol.toPrimitive] ? mine[Symbol.toPrimitive]('default') : typeof mine.valueOf() !== 'object' ? mine.valueOf() : String(mine);
		default: throw new TypeError('unknown operation');
		}
	}

}

function programSide() {
	const { createRequire } = require('module');
	const vm = require('vm');
	const file = path.resolve(PROGRAM);
	const exit = process.exit, STOP = Symbol('exit');
	const socket = new net.Socket({ fd: FD });
	const c = new Program(FD, socket, () => process.reallyExit(1));
	const module = { id: '.', filename: file, exports: {}, loaded: false, children: [], paths: [] };
	const own = createRequire(file);
	let candidates;

	c.stays = true;
	c.serve = function ([op, id, names]) {
		delete c.serve;
		candidates = { id, names };
		load();
	};

	function load() {
		own.main = module;
		process.argv = [process.execPath, file];
		Object.assign(globalThis, { require: own, module, exports: module.exports, __filename: file, __dirname: path.dirname(file) });
		process.exit = () => { throw STOP; };
		try {
			vm.runInThisContext(fs.readFileSync(file, 'utf8').replace(/^#!/, '//'), { filename: file });
		} catch (e) {
			if (e !== STOP) {
				process.exit = exit;
				console.error(e);
				process.reallyExit(1);
			}
		}
		process.exit = exit;
		c.reply(candidates.id, 'value', null);
	}

	/* The answer to "load": names with their values, and what is exported. */
	c.reply = function (id) {
		delete c.reply;
		const modules = new Map(), members = new Map();
		for (const name of candidates.names.filter(n => builtinModules.includes(n)))
			modules.set(require(name), name);
		for (const name of PURE) {
			const m = require(name);
			modules.set(m, name);
			for (const k of Object.keys(m)) {
				if (typeof m[k] === 'function')
					members.set(m[k], [name, k]);
			}
		}
		const list = [];
		for (const name of candidates.names) {
			let v;
			try {
				v = vm.runInThisContext(name);
			} catch {
				continue; /* no name of its */
			}
			if (GLOBALS.has(name) || OBJECT_MEMBERS.has(name))
				continue;
			if (modules.has(v))
				list.push([name, 'module', modules.get(v)]);
			else if (members.has(v))
				list.push([name, 'member', members.get(v)]);
			else
				list.push([name, 'value', c.pack(v)]);
		}
		c.send(['answer', id, 'value', list, c.pack(module.exports)]);
	};
}

process.argv[2] === 'program' ? programSide() : testSide();
