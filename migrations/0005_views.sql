-- Why: what others read.  Everything but `released` and `held` is without content, so that a list, a poll or a report cannot leak one.
-- Look-ups by id add `day = airlock.uuid_day(id)`: one partition instead of all.
set role airlock_owner;

-- The content lines of a message as JSON, in order; MAC lines left out.  '' gives none.
create function airlock.lines(message text) returns table (n int, line jsonb)
	language sql immutable strict parallel safe
	set search_path = pg_catalog, pg_temp
as $$
	select (row_number() over (order by o))::int, t::jsonb
	from unnest(string_to_array(rtrim(message, E'\n'), E'\n')) with ordinality as u(t, o)
	where t <> '' and t not like '{"kind":"mac",%'
$$;

-- The votes of a gate's last verdict.
create function airlock.votes(message text, gate text) returns jsonb
	language sql immutable strict parallel safe
	set search_path = pg_catalog, pg_temp
as $$
	select line -> 'votes' from airlock.lines(message) where line ->> 'kind' = gate order by n desc limit 1
$$;

create view airlock.status as
select r.id, r.day, r.tenant, coalesce(r.key, x.key) as key, r.lane, r.api, r.custom_id, r."group", r.sample, r.end_user, r.model, r.language,
	r.execute, r.own_program, r.created_at, r.deadline_at, r.recorded_at,
	case when d.id is not null then 'deleted' when x.id is not null then x.status when h.waits then 'held' else 'in_progress' end as status,
	case when d.id is not null then 'deleted' when x.id is not null then x.code when h.waits then h.reason end as code,
	case when d.id is not null then null when x.id is not null then x.message_text when h.waits then h.message_text end as message_text,
	x.refused_by, case when x.id is null and h.waits then h.gate end as held_by, x.ended_by, coalesce(x.attempt, h.attempt, 1::smallint) as attempt,
	x.screen_decision, x.screen_reason, x.screen_person, x.inspect_decision, x.inspect_reason, x.inspect_person,
	x.review_decision, x.review_reason, x.review_person,
	coalesce(x.screen_degraded, false) or coalesce(x.inspect_degraded, false) or coalesce(x.review_degraded, false) as degraded,
	x.answer_sha256, x.program_sha256, x.run_verdict, x.run_exit_code, x.run_signal, x.tests_passed, x.tests_total,
	x.upstream, x.model as upstream_model, x.input_tokens, x.output_tokens, x.cost_micro_usd,
	x.screen_us, x.infer_ms, x.inspect_us, x.run_ms, x.review_us, x.finished_at, x.latency_ms
from airlock.requests r
left join airlock.results x on x.id = r.id and x.day = r.day
left join airlock.deleted d on d.id = r.id
left join lateral (
	select h.gate, h.attempt, h.reason, h.message_text,
		not exists (select from airlock.decisions p where p.id = h.id and p.gate = h.gate and p.attempt = h.attempt) as waits
	from airlock.held h where h.id = r.id order by h.held_at desc limit 1
) h on true
union all
-- Either order is fine: a result whose request row is still to come.
select x.id, x.day, x.tenant, x.key, x.lane, x.api, x.custom_id, x."group", x.sample, null, null, null,
	null, null, x.created_at, null, x.recorded_at,
	case when d.id is not null then 'deleted' else x.status end,
	case when d.id is not null then 'deleted' else x.code end,
	case when d.id is null then x.message_text end,
	x.refused_by, null, x.ended_by, x.attempt,
	x.screen_decision, x.screen_reason, x.screen_person, x.inspect_decision, x.inspect_reason, x.inspect_person,
	x.review_decision, x.review_reason, x.review_person,
	coalesce(x.screen_degraded, false) or coalesce(x.inspect_degraded, false) or coalesce(x.review_degraded, false),
	x.answer_sha256, x.program_sha256, x.run_verdict, x.run_exit_code, x.run_signal, x.tests_passed, x.tests_total,
	x.upstream, x.model, x.input_tokens, x.output_tokens, x.cost_micro_usd,
	x.screen_us, x.infer_ms, x.inspect_us, x.run_ms, x.review_us, x.finished_at, x.latency_ms
from airlock.results x
left join airlock.deleted d on d.id = x.id
where not exists (select from airlock.requests r where r.id = x.id and r.day = x.day);

-- One row a gate decision, of the attempt that decided.
create view airlock.verdicts as
select x.id, x.day, x.tenant, x.lane, x."group", x.sample, x.custom_id, x.status, x.attempt, g.gate, g.decision, g.reason, g.person, g.degraded,
	g.policy, g.policy_version, encode(g.policy_sha256, 'hex') as policy_sha256, encode(g.sha256, 'hex') as judged_sha256, g.category, g.score,
	g.us, g.at, airlock.votes(x.message, g.gate) as votes
from airlock.results x
cross join lateral (values
	('screen', screen_decision, screen_reason, screen_person, screen_degraded, screen_policy, screen_policy_version, screen_policy_sha256,
	 screen_sha256, screen_category, screen_score, screen_us, screen_at),
	('inspect', inspect_decision, inspect_reason, inspect_person, inspect_degraded, inspect_policy, inspect_policy_version, inspect_policy_sha256,
	 inspect_sha256, inspect_category, inspect_score, inspect_us, inspect_at),
	('review', review_decision, review_reason, review_person, review_degraded, review_policy, review_policy_version, review_policy_sha256,
	 review_sha256, review_category, review_score, review_us, review_at)
) g(gate, decision, reason, person, degraded, policy, policy_version, policy_sha256, sha256, category, score, us, at)
where g.decision is not null;

create view airlock.runs as
select id, day, tenant, lane, "group", sample, custom_id, status, attempt, run_language as language, run_isolation as isolation,
	encode(program_sha256, 'hex') as program_sha256, run_verdict as verdict, run_exit_code as exit_code, run_signal as signal, run_ms as ms,
	run_wall_ms as wall_ms, run_cpu_ms as cpu_ms, run_peak_memory_bytes as peak_memory_bytes, run_refused_calls as refused_calls,
	tests_passed, tests_total, finished_at
from airlock.results
where run_verdict is not null;

-- One row a call of a model, tried again ones too.
create view airlock.calls as
select x.id, x.day, x.tenant, x.lane, (l.line ->> 'attempt')::int as attempt, (row_number() over (partition by x.id order by l.n, c.o))::int as n,
	c.call ->> 'upstream' as upstream, case when c.call ->> 'code' = 'ok' then l.line ->> 'model' end as model,
	(c.call ->> 'status')::int as status, c.call ->> 'code' as code, (c.call ->> 'ms')::bigint as ms,
	(c.call ->> 'input_tokens')::bigint as input_tokens, (c.call ->> 'output_tokens')::bigint as output_tokens,
	(c.call ->> 'cost_micro_usd')::bigint as cost_micro_usd, x.finished_at
from airlock.results x
cross join lateral airlock.lines(x.message) l
cross join lateral jsonb_array_elements(l.line -> 'calls') with ordinality as c(call, o)
where l.line ->> 'kind' in ('infer', 'end');

-- Where content is read.  A predicate over the one row, so no verdict of another way can release anything.  The barrier keeps a reader's
-- own functions from seeing rows before the predicate did.
create view airlock.released with (security_barrier) as
select x.id, x.day, x.tenant, x.message
from airlock.results x
where x.status = 'released'
	and (x.screen_decision = 'allow' or (x.screen_decision = 'hold' and x.screen_person = 'allow'))
	and (x.inspect_decision = 'allow' or (x.inspect_decision = 'hold' and x.inspect_person = 'allow'))
	and (x.review_decision = 'allow' or (x.review_decision = 'hold' and x.review_person = 'allow'))
	and not exists (select from airlock.deleted d where d.id = x.id);

-- Up to when everything of a topic is recorded.
create view airlock.caught_up as
select topic, min(caught_up_at) as at from airlock.offsets group by topic;

-- The whole way of a request: its lines with only those members that hold no content.  An allow-list a kind, so a member that is added to a
-- line stays hidden until someone has decided.  Lines of MACs tell who signed.
create function airlock.history(wanted uuid) returns jsonb
	language sql stable strict security definer
	set search_path = pg_catalog, pg_temp
as $$
	with source as (
		select message from (
			select 1 as o, message, null::timestamptz as at from airlock.results where id = wanted and day = airlock.uuid_day(wanted) and message <> ''
			union all
			select 2, message, held_at from airlock.held where id = wanted
			union all
			select 3, message, null from airlock.requests where id = wanted and day = airlock.uuid_day(wanted)
		) s order by o, length(message) desc limit 1
	), lines as (
		select o, t::jsonb as line
		from source, unnest(string_to_array(rtrim(message, E'\n'), E'\n')) with ordinality as u(t, o)
		where t <> ''
	)
	select coalesce(jsonb_agg(kept order by o), '[]'::jsonb) from (
		select o, (select jsonb_object_agg(m.key, m.value) from jsonb_each(line) m where m.key = any (case line ->> 'kind'
			when 'mac' then '{kind,v,by,epoch}'::text[]
			when 'request' then '{kind,v,id,tenant,key,lane,api,created_ms,deadline_ms,execute,model,language,max_output_tokens,temperature,
				limits,rounds,budget,custom_id,group,sample,outputs,traceparent}'
			when 'infer' then '{kind,v,attempt,at_ms,ms,upstream,model,response_id,finish,input_tokens,output_tokens,cost_micro_usd,
				first_token_ms,prompt_sha256,calls}'
			when 'run' then '{kind,v,attempt,at_ms,language,isolation,program_sha256,verdict,exit_code,signal,wall_ms,cpu_ms,compile_ms,
				peak_memory_bytes,oom_kills,pids_peak,leftovers_killed,refused_calls,tests_passed}'
			when 'repair' then '{kind,v,attempt,at_ms,why}'
			when 'decision' then '{kind,v,gate,decision,held_sha256,who,why,at_ms,deadline_ms}'
			when 'end' then '{kind,v,id,tenant,by,attempt,at_ms,status,code,message,calls,input_tokens,output_tokens,cost_micro_usd}'
			else '{kind,v,attempt,at_ms,us,decision,reason,message,degraded,policy,policy_version,policy_sha256,parts,programs,scores,votes}'
			end)) as kept
		from lines
	) k
$$;
revoke all on function airlock.history(uuid) from public;

-- Asks the recorder to send stored requests once more.  Returns how many were asked for.
create function airlock.redrive_wanted(ids uuid[], who text) returns int
	language sql volatile security definer
	set search_path = pg_catalog, pg_temp
as $$
	with asked as (
		insert into airlock.redrive (id, wanted_by) select distinct unnest(ids), who
		on conflict (id) do update set wanted_at = now(), wanted_by = excluded.wanted_by, done_at = null, outcome = null
		returning 1
	), told as (select pg_notify('airlock_redrive', ''))
	select count(*)::int from asked, told
$$;
revoke all on function airlock.redrive_wanted(uuid[], text) from public;
reset role;
