-- Why: what the gateway keeps: who may submit, how much, what was already submitted, and what people said.  Nothing here decides a request.
set role airlock_owner;

-- NULL: no limit.
create table airlock.tenants (
	name text primary key check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
	created_at timestamptz not null default now(),
	suspended_at timestamptz,
	requests_per_minute int,
	tokens_per_minute bigint,
	in_flight int,                  -- requests not ended
	cost_micro_usd_per_day bigint,
	end_user_requests_per_minute int,
	policy text                     -- NULL: the default one
);

create table airlock.keys (
	id text primary key,            -- k_...
	tenant text not null references airlock.tenants,
	hash bytea not null unique,     -- keyed hash of the secret part
	name text not null default '',
	scopes text[] not null,
	created_at timestamptz not null default now(),
	expires_at timestamptz,
	revoked_at timestamptz
);
create index on airlock.keys (tenant);

create table airlock.idempotency (
	tenant text not null,
	key text not null,
	body_sha256 bytea not null,
	request_id uuid not null,
	state text not null check (state in ('reserved', 'accepted', 'void')),
	at timestamptz not null default now(),
	primary key (tenant, key)
);
create index on airlock.idempotency (at);

-- What a node has taken of a tenant's allowance in this window.
create table airlock.leases (
	tenant text not null,
	node text not null,
	window_at timestamptz not null,
	requests bigint not null default 0,
	tokens bigint not null default 0,
	cost_micro_usd bigint not null default 0,
	in_flight bigint not null default 0,
	expires_at timestamptz not null,
	primary key (tenant, node, window_at)
);
create index on airlock.leases (expires_at);

-- A person's decision on a hold.  What counts is the signed line in the message; this row takes the request off the list of those that wait.
create table airlock.decisions (
	id uuid not null,
	gate text not null check (gate in ('screen', 'inspect', 'review')),
	attempt smallint not null,
	decision text not null check (decision in ('allow', 'refuse')),
	who text not null,
	why text not null,
	held_sha256 bytea not null,
	deadline_at timestamptz not null,
	at timestamptz not null default now(),
	primary key (id, gate, attempt)
);

-- What a person says about a verdict: feeds thresholds and the classifier.
create table airlock.labels (
	id uuid not null,
	gate text not null check (gate in ('screen', 'inspect', 'review')),
	who text not null,
	label text not null check (label in ('right', 'false_positive', 'false_negative')),
	category text,
	why text,
	at timestamptz not null default now(),
	primary key (id, gate, who)
);

create table airlock.policies (
	sha256 bytea primary key,
	name text not null,
	version bigint not null,
	body text not null,
	seen_at timestamptz not null default now()
);
reset role;
