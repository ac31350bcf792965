-- Why: what the gateway asks of the database beyond single rows: a person's decision on a hold, what waits for one, repeats of a submit, the
-- figures of `airlock top`.  As functions, so that the rules stand beside the tables.  Those that run with the owner's rights take the
-- tenant and give nothing of another one; with them the gateway needs no right to read all of `held`, nor to write `decisions` freely.
set role airlock_owner;

-- NULL: claimed, but nobody has said yet that the signed line is in the log; the same decision may then be asked for again, and no other.
alter table airlock.decisions add column published_at timestamptz;
create index on airlock.held (tenant, held_at) where closed_at is null;

revoke select on airlock.held from airlock_gateway;
revoke insert on airlock.decisions from airlock_gateway;
grant update (published_at) on airlock.decisions to airlock_gateway;

-- What waits for a person, longest first.  At most `most` rows, and no more than 16 MiB of messages in one answer, but at least one row.
create function airlock.held_waiting(of_tenant text, after_at timestamptz, after_id uuid, most int)
	returns table (id uuid, gate text, attempt int, reason text, policy text, held_at timestamptz, expires_at timestamptz, held_sha256 text,
		decision text, who text, message text)
	language sql stable security definer
	set search_path = pg_catalog, pg_temp
as $$
	select w.id, w.gate, w.attempt, w.reason, w.policy, w.held_at, w.expires_at, encode(w.message_sha256, 'hex'), w.decision, w.who, w.message
	from (
		select q.*, sum(octet_length(q.message)) over (order by q.held_at, q.id rows unbounded preceding) - octet_length(q.message) as before
		from (
			select h.id, h.gate, h.attempt::int, h.reason, h.policy, h.held_at, h.expires_at, h.message_sha256, p.decision, p.who, h.message
			from airlock.held h
			left join airlock.decisions p on p.id = h.id and p.gate = h.gate and p.attempt = h.attempt
			where h.tenant = of_tenant and h.closed_at is null and h.message <> '' and h.expires_at > now() and p.published_at is null
				and (after_at is null or (h.held_at, h.id) > (after_at, after_id))
				and not exists (select from airlock.results x where x.id = h.id and x.day = h.day)
				and not exists (select from airlock.deleted d where d.id = h.id)
			order by h.held_at, h.id limit least(most, 1000)
		) q
	) w
	where w.before < 16 * 1024 * 1024
	order by w.held_at, w.id
$$;
revoke all on function airlock.held_waiting(text, timestamptz, uuid, int) from public;
grant execute on function airlock.held_waiting(text, timestamptz, uuid, int) to airlock_gateway;

-- Claims a decision on the newest hold of a request; the first one wins.  outcome:
--   none         nothing is held under this id
--   ended        the request has ended, or nobody decided in time
--   other_bytes  what is held has another hash
--   decided      somebody has decided: decision, who
--   claimed      it is this caller's to sign and publish, with the values given here: a repeat signs the very same line
-- span_ms NULL: the time that the request had at first, anew.
create function airlock.decide(wanted uuid, of_tenant text, as_decided text, by_who text, because text, sha256 bytea, span_ms bigint)
	returns table (outcome text, gate text, attempt int, decision text, who text, why text, at_ms bigint, deadline_ms bigint, message text)
	language plpgsql volatile security definer
	set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	h airlock.held;
	d airlock.decisions;
	span interval;
	moment timestamptz := date_trunc('milliseconds', clock_timestamp());
begin
	select * into h from airlock.held where id = wanted and tenant = of_tenant order by held_at desc limit 1;
	if not found or h.message = '' then
		return query select 'none', null::text, null::int, null::text, null::text, null::text, null::bigint, null::bigint, null::text;
		return;
	end if;
	if h.expires_at <= moment or exists (select from airlock.results x where x.id = h.id and x.day = h.day)
			or exists (select from airlock.deleted x where x.id = h.id) then
		return query select 'ended', h.gate, h.attempt::int, null::text, null::text, null::text, null::bigint, null::bigint, null::text;
		return;
	end if;
	if h.message_sha256 <> sha256 then
		return query select 'other_bytes', h.gate, h.attempt::int, null::text, null::text, null::text, null::bigint, null::bigint, null::text;
		return;
	end if;
	select r.deadline_at - r.created_at into span from airlock.requests r where r.id = h.id and r.day = h.day;
	span := least(coalesce(span_ms * interval '1 millisecond', span, interval '1 hour'), interval '7 days');
	insert into airlock.decisions (id, gate, attempt, decision, who, why, held_sha256, deadline_at, at)
	values (h.id, h.gate, h.attempt, as_decided, by_who, because, sha256, date_trunc('milliseconds', moment + span), moment)
	on conflict do nothing;
	select * into d from airlock.decisions p where p.id = h.id and p.gate = h.gate and p.attempt = h.attempt;
	return query select case when d.decision = as_decided and d.published_at is null then 'claimed' else 'decided' end, h.gate, h.attempt::int,
		d.decision, d.who, d.why, (extract(epoch from d.at) * 1000)::bigint, (extract(epoch from d.deadline_at) * 1000)::bigint,
		case when d.decision = as_decided and d.published_at is null then h.message end;
end
$$;
revoke all on function airlock.decide(uuid, text, text, text, text, bytea, bigint) from public;
grant execute on function airlock.decide(uuid, text, text, text, text, bytea, bigint) to airlock_gateway;

-- A submit that may be a repeat.  outcome: fresh (produce it; `cancel`, if given, is an id that was never promised to anybody: end it),
-- accepted (answer request_id), young (somebody is just producing it), other_body.
create function airlock.reserve(of_tenant text, of_key text, body bytea, new_id uuid, old_after interval)
	returns table (outcome text, request_id uuid, cancel uuid)
	language plpgsql volatile
	set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
	i airlock.idempotency;
begin
	for try in 1..3 loop
		insert into airlock.idempotency (tenant, key, body_sha256, request_id, state) values (of_tenant, of_key, body, new_id, 'reserved')
		on conflict do nothing;
		if found then
			return query select 'fresh', new_id, null::uuid;
			return;
		end if;
		select * into i from airlock.idempotency where tenant = of_tenant and key = of_key for update;
		exit when found; -- else it was removed in between
	end loop;
	if i.tenant is null then
		raise exception 'the row comes and goes' using errcode = '40001';
	end if;
	if i.body_sha256 <> body then
		return query select 'other_body', i.request_id, null::uuid;
	elsif i.state = 'accepted' then
		return query select 'accepted', i.request_id, null::uuid;
	elsif i.state = 'reserved' and exists (select from airlock.status s where s.id = i.request_id and s.day = airlock.uuid_day(i.request_id)) then
		update airlock.idempotency set state = 'accepted' where tenant = of_tenant and key = of_key;
		return query select 'accepted', i.request_id, null::uuid;
	elsif i.state = 'reserved' and i.at > now() - old_after then
		return query select 'young', i.request_id, null::uuid;
	else
		update airlock.idempotency set request_id = new_id, state = 'reserved', at = now() where tenant = of_tenant and key = of_key;
		return query select 'fresh', new_id, i.request_id;
	end if;
end
$$;
revoke all on function airlock.reserve(text, text, bytea, uuid, interval) from public;
grant execute on function airlock.reserve(text, text, bytea, uuid, interval) to airlock_gateway;

-- What ended for a tenant since then.
create function airlock.ended_since(of_tenant text, since timestamptz) returns jsonb
	language sql stable strict security definer
	set search_path = pg_catalog, pg_temp
as $$
	select jsonb_build_object('ended', count(*), 'released', count(*) filter (where status = 'released'),
		'refused', count(*) filter (where status = 'refused'), 'failed', count(*) filter (where status = 'failed'),
		'expired', count(*) filter (where status = 'expired'), 'cancelled', count(*) filter (where status in ('cancelled', 'deleted')),
		'p50_ms', percentile_disc(0.5) within group (order by latency_ms), 'p99_ms', percentile_disc(0.99) within group (order by latency_ms),
		'input_tokens', coalesce(sum(input_tokens), 0), 'output_tokens', coalesce(sum(output_tokens), 0),
		'cost_micro_usd', coalesce(sum(cost_micro_usd), 0))
	from airlock.results
	where recorded_at > since and day >= (since at time zone 'UTC')::date - 15 and tenant = of_tenant -- a request lives 7 days, held ones 7 more
$$;
revoke all on function airlock.ended_since(text, timestamptz) from public;

-- One screen of a tenant: what is under way, what ended, who refused, and for administrators the newest alerts.
create function airlock.overview(of_tenant text, with_alerts boolean) returns jsonb
	language sql stable strict security definer
	set search_path = pg_catalog, pg_temp
as $$
	select jsonb_build_object(
		'at', now(),
		'in_progress', (
			select count(*) from airlock.requests r
			where r.tenant = of_tenant and r.deadline_at > now()
				and not exists (select from airlock.results x where x.id = r.id and x.day = r.day)
				and not exists (select from airlock.held h where h.id = r.id and h.closed_at is null and not exists (
					select from airlock.decisions p where p.id = h.id and p.gate = h.gate and p.attempt = h.attempt))),
		'held', (
			select count(*) from airlock.held h
			where h.tenant = of_tenant and h.closed_at is null and h.expires_at > now()
				and not exists (select from airlock.results x where x.id = h.id and x.day = h.day)
				and not exists (select from airlock.decisions p where p.id = h.id and p.gate = h.gate and p.attempt = h.attempt)),
		'last_minute', airlock.ended_since(of_tenant, now() - interval '1 minute'),
		'last_hour', airlock.ended_since(of_tenant, now() - interval '1 hour'),
		'refused_by', (
			select coalesce(jsonb_object_agg(g.refused_by, g.n), '{}') from (
				select refused_by, count(*) as n from airlock.results
				where recorded_at > now() - interval '1 hour' and day >= (now() at time zone 'UTC')::date - 15 and tenant = of_tenant
					and status = 'refused' and refused_by is not null
				group by refused_by) g),
		'alerts', case when with_alerts then (
			select coalesce(jsonb_agg(jsonb_build_object('at', a.at, 'kind', a.code, 'severity', a.severity, 'text', a.text) order by a.at desc), '[]')
			from (select * from airlock.alerts order by at desc limit 5) a)
			else '[]' end)
$$;
revoke all on function airlock.overview(text, boolean) from public;
grant execute on function airlock.overview(text, boolean) to airlock_gateway;
reset role;
