-- Why: what RECORD writes.  Two rows a request: one when it was accepted, one when it ended; the primary key lets the first result win.
-- A state is derived from which rows exist (view status, 0005), never stored and moved.
set role airlock_owner;

-- The day (UTC) in a UUIDv7.  Partition key: the same id always lands in the same partition, so a duplicate is found by the key.
-- Say `id = $1 and day = airlock.uuid_day($1)` to touch one partition only.
create function airlock.uuid_at(id uuid) returns timestamptz
	language sql immutable strict parallel safe
	return to_timestamp(('x' || lpad(left(replace(id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0);
create function airlock.uuid_day(id uuid) returns date
	language sql immutable strict parallel safe
	return (airlock.uuid_at(id) at time zone 'UTC')::date;

create table airlock.requests (
	id uuid not null,
	day date not null,
	tenant text not null,
	key text,                       -- the API key's id
	lane text not null,
	api text,
	custom_id text,
	"group" text,
	sample int,
	end_user text,
	model text,
	language text,
	execute boolean not null,
	own_program boolean not null,
	created_at timestamptz not null,
	deadline_at timestamptz not null,
	recorded_at timestamptz not null default now(),
	message_sha256 bytea not null,  -- stays when content is blanked
	message text not null,          -- the signed bytes of attempt 1; '' once deleted
	primary key (id, day)
) partition by range (day);
create table airlock.requests_default partition of airlock.requests default;
create index on airlock.requests (deadline_at);
create index on airlock.requests (tenant, id);

-- A gate's columns: what it decided and why, a person's decision on its hold, the policy, the hash over all parts it judged, the worst
-- category, the time it took.
create table airlock.results (
	id uuid not null,
	day date not null,
	tenant text not null,
	key text,
	lane text,
	api text,
	custom_id text,
	"group" text,
	sample int,
	status text not null check (status in ('released', 'refused', 'failed', 'expired', 'cancelled', 'deleted')),
	code text not null,
	message_text text,              -- one line for the client
	refused_by text,                -- gate
	ended_by text not null,         -- program
	attempt smallint not null,
	screen_decision text, screen_reason text, screen_person text, screen_degraded boolean, screen_policy text,
	screen_policy_version bigint, screen_policy_sha256 bytea, screen_sha256 bytea, screen_category text, screen_score real,
	screen_us bigint, screen_at timestamptz,
	inspect_decision text, inspect_reason text, inspect_person text, inspect_degraded boolean, inspect_policy text,
	inspect_policy_version bigint, inspect_policy_sha256 bytea, inspect_sha256 bytea, inspect_category text, inspect_score real,
	inspect_us bigint, inspect_at timestamptz,
	review_decision text, review_reason text, review_person text, review_degraded boolean, review_policy text,
	review_policy_version bigint, review_policy_sha256 bytea, review_sha256 bytea, review_category text, review_score real,
	review_us bigint, review_at timestamptz,
	answer_sha256 bytea,
	program_sha256 bytea,           -- what ran
	run_verdict text, run_language text, run_isolation text, run_exit_code int, run_signal int,
	run_ms bigint,                  -- compiling and running
	run_wall_ms bigint, run_cpu_ms bigint, run_peak_memory_bytes bigint, run_refused_calls int,
	tests_passed int, tests_total int,
	upstream text, model text, finish text, infer_ms bigint, first_token_ms bigint, call_count int,
	input_tokens bigint not null, output_tokens bigint not null, cost_micro_usd bigint not null, -- all attempts together
	created_at timestamptz not null,
	finished_at timestamptz not null,
	latency_ms bigint not null,
	recorded_at timestamptz not null default now(),
	message_sha256 bytea not null,
	message text not null,          -- all signed bytes; '' once deleted
	primary key (id, day),
	-- The recorder has checked the signatures behind these columns; that all three gates allowed is demanded here once more.
	constraint released_needs_three_allows check (status <> 'released' or
		((screen_decision = 'allow' or (screen_decision = 'hold' and screen_person = 'allow')) and
		 (inspect_decision = 'allow' or (inspect_decision = 'hold' and inspect_person = 'allow')) and
		 (review_decision = 'allow' or (review_decision = 'hold' and review_person = 'allow'))) is true)
) partition by range (day);
create table airlock.results_default partition of airlock.results default;
create index on airlock.results using brin (recorded_at);
create index on airlock.results (tenant, id);

-- A differing result for a request that had already ended: whole, because what it cost still counts.
create table airlock.results_late (
	id uuid not null,
	day date not null,
	tenant text not null,
	status text not null,
	code text not null,
	input_tokens bigint not null, output_tokens bigint not null, cost_micro_usd bigint not null,
	recorded_at timestamptz not null default now(),
	message_sha256 bytea not null,
	message text not null,
	primary key (id, message_sha256)
);

-- A gate's hold: waits for a person; no result row.
create table airlock.held (
	id uuid not null,
	day date not null,
	tenant text not null,
	gate text not null,
	attempt smallint not null,
	reason text not null,
	message_text text,
	lane text not null,
	policy text,
	held_at timestamptz not null,
	expires_at timestamptz not null,
	closed_at timestamptz,          -- the request has a result: nobody waits any more
	message_sha256 bytea not null,  -- what a person's decision must name
	message text not null,
	primary key (id, gate, attempt)
);
create index on airlock.held (expires_at) where closed_at is null;

-- What could not be handled, unchanged.  The hash is part of the key because a topic made anew counts its offsets from 0 again.
create table airlock.dead_letters (
	topic text not null,
	partition int not null,
	"offset" bigint not null,
	sha256 bytea not null,
	at timestamptz not null,
	key text,
	request_id uuid,                -- if the key is one
	code text not null,
	why text,
	by_program text not null,
	genuine boolean not null,       -- the writer's signature holds
	ended boolean not null,         -- it ended its request as failed
	headers text,
	bytes bytea not null,
	recorded_at timestamptz not null default now(),
	primary key (topic, partition, "offset", sha256)
);
create index on airlock.dead_letters (recorded_at);
create index on airlock.dead_letters (request_id);

create table airlock.alerts (
	id bigint generated always as identity primary key,
	at timestamptz not null,
	by_program text not null,
	severity text not null,
	code text not null,
	text text not null,
	subject text,
	recorded_at timestamptz not null default now()
);
create index on airlock.alerts (at);

-- Ids whose content was deleted: later messages of them are stored without content.
create table airlock.deleted (
	id uuid primary key,
	day date not null,
	tenant text not null,
	at timestamptz not null default now()
);
create index on airlock.deleted (at);

-- Where RECORD stands, one row a partition.  A flush moves `next` in the transaction that writes the rows, and only from the value it
-- expects: two recorders cannot both count a message.  backend_pid is the connection to end when its owner hangs in the middle of COPY.
create table airlock.offsets (
	topic text not null,
	partition int not null,
	topic_id bytea not null,
	next bigint not null,           -- -1: from the start of the log
	owner uuid,
	backend_pid int,
	taken_at timestamptz,
	caught_up_at timestamptz not null default '-infinity', -- everything then in the log is recorded
	head bytea not null default '', -- SHA-256(head before | SHA-256(message)): a chain over all recorded bytes of this partition
	primary key (topic, partition)
);

-- The ids of all topics, to notice a lost log; `lost_logs` has one row a lost id, so exactly one recorder repairs it.
create table airlock.topics (
	topic text primary key,
	topic_id bytea not null,
	partitions int not null,
	seen_at timestamptz not null default now()
);
create table airlock.lost_logs (
	topic text not null,
	topic_id bytea not null,        -- the one that is gone
	new_topic_id bytea not null,
	noticed_at timestamptz not null default now(),
	owner uuid,
	owned_at timestamptz,
	resent_to uuid,                 -- how far the owner has come, in order of ids
	resent_count bigint not null default 0,
	done_at timestamptz,
	primary key (topic, topic_id)
);

-- Requests that somebody wants sent through the pipeline once more.  The recorder holds the stored bytes and publishes them.
create table airlock.redrive (
	id uuid primary key,
	wanted_at timestamptz not null default now(),
	wanted_by text not null,
	done_at timestamptz,
	outcome text                    -- sent, ended, held, expired, unknown, deleted
);
create index on airlock.redrive (wanted_at) where done_at is null;

-- How far a repeated task has come.
create table airlock.marks (
	name text primary key,
	at timestamptz not null
);
insert into airlock.marks values ('expired', '-infinity');

-- What was spent: one row a tenant and day, settled in the transaction that records the result.
create table airlock.ledger (
	tenant text not null,
	day date not null,              -- of the result
	results bigint not null,
	refused bigint not null,
	input_tokens bigint not null,
	output_tokens bigint not null,
	cost_micro_usd bigint not null,
	primary key (tenant, day)
);
reset role;
