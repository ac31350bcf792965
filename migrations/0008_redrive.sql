-- Why: a lost log is repaired.  The recorder publishes the stored bytes of undecided requests again: after a lost log all that may have been in
-- it, on somebody's wish those named in `redrive`.  The rules stand here; the functions run with the recorder's own rights.
set role airlock_owner;

-- Everything that could tell of a request, or end one, is recorded up to here; NULL while one of these topics was never read.
create function airlock.recorded_upto() returns timestamptz
	language sql stable
	set search_path = pg_catalog, pg_temp
as $$
	select case when count(*) = 4 then min(at) end from airlock.caught_up
	where topic in ('airlock.requests', 'airlock.requests.batch', 'airlock.results', 'airlock.dead')
$$;

-- A topic has this id now.  Returns true if it had another one before: its log is lost, and a row in lost_logs says so.
create or replace function airlock.topic_seen(name text, id bytea, count int) returns boolean
	language plpgsql volatile
	set search_path = pg_catalog, pg_temp
as $$
declare
	old bytea;
	carries boolean := name not in ('airlock.alerts', 'airlock.control'); -- requests on their way, or how they ended
begin
	insert into airlock.topics (topic, topic_id, partitions) values (name, id, count) on conflict do nothing;
	select topic_id into old from airlock.topics where topic = name for update;
	update airlock.topics set topic_id = id, partitions = count, seen_at = now() where topic = name;
	if old = id then
		return false;
	end if;
	insert into airlock.lost_logs (topic, topic_id, new_topic_id, done_at) values (name, old, id, case when not carries then now() end)
	on conflict do nothing;
	insert into airlock.alerts (at, by_program, severity, code, text, subject)
	values (now(), 'record', 'critical', 'log_lost', case when carries
		then 'The log of this topic is gone; undecided requests that may have been in it are sent again.'
		else 'The log of this topic is gone.' end, name);
	return true;
end
$$;

-- The repair that is to go on: an interrupted one, or all lost logs together as soon as everything up to the last loss is recorded (several
-- logs are lost together when a broker is; one pass then sends each request once).  `owned_at` names the pass.  No row: nothing to do.
create function airlock.repair_begin(me uuid) returns table (pass timestamptz, after uuid)
	language plpgsql volatile
	set search_path = pg_catalog, pg_temp
as $$
declare
	p timestamptz;
begin
	perform from airlock.lost_logs where done_at is null order by topic, topic_id for update;
	select min(owned_at) into p from airlock.lost_logs where done_at is null;
	if p is not null then
		update airlock.lost_logs set owner = me where owned_at = p and done_at is null;
	elsif airlock.recorded_upto() > (select max(noticed_at) from airlock.lost_logs where done_at is null) then
		p := clock_timestamp();
		update airlock.lost_logs set owner = me, owned_at = p where done_at is null;
	else
		return;
	end if;
	return query select p, max(l.resent_to::text)::uuid from airlock.lost_logs l where l.owned_at = p and l.done_at is null;
end
$$;

-- The next requests of a pass behind `after`, in order of ids: undecided, unheld, not deleted, deadline to come, of a lane that lost something,
-- and old enough to have been in a log that is gone (clocks of gateways may differ a little).
create function airlock.repair_page(pass timestamptz, after uuid, most int) returns table (id uuid, message text)
	language sql stable
	set search_path = pg_catalog, pg_temp
as $$
	with lost as (
		select max(noticed_at) + interval '1 second' as upto,
			bool_or(topic in ('airlock.results', 'airlock.dead') or topic like '%.batch') as batch,
			bool_or(topic not like '%.batch') as interactive
		from airlock.lost_logs where owned_at = $1 and done_at is null
	)
	select r.id, r.message from airlock.requests r, lost
	where r.id > coalesce($2, '00000000-0000-0000-0000-000000000000') and r.day >= (now() at time zone 'UTC')::date - 9
		and r.deadline_at > now() and r.created_at <= lost.upto and r.message <> ''
		and case r.lane when 'batch' then lost.batch else lost.interactive end
		and not exists (select from airlock.results x where x.id = r.id and x.day = r.day)
		and not exists (select from airlock.held h where h.id = r.id)
		and not exists (select from airlock.deleted d where d.id = r.id)
	order by r.id limit $3
$$;

-- How far the pass has come.  false: it is another's now.
create function airlock.repair_note(pass timestamptz, me uuid, upto uuid, sent int) returns boolean
	language plpgsql volatile
	set search_path = pg_catalog, pg_temp
as $$
begin
	update airlock.lost_logs set resent_to = upto, resent_count = resent_count + sent
	where owned_at = pass and owner = me and done_at is null;
	return found;
end
$$;

create function airlock.repair_done(pass timestamptz, me uuid) returns boolean
	language plpgsql volatile
	set search_path = pg_catalog, pg_temp
as $$
declare
	sent bigint;
	names text;
begin
	with done as (
		update airlock.lost_logs set done_at = now() where owned_at = pass and owner = me and done_at is null returning topic, resent_count
	) select max(resent_count), string_agg(topic, ' ' order by topic) into sent, names from done;
	if names is null then
		return false;
	end if;
	insert into airlock.alerts (at, by_program, severity, code, text, subject)
	values (now(), 'record', 'info', 'log_repaired', sent || ' undecided requests were sent again.', names);
	return true;
end
$$;

-- The next wishes, once all that was in the logs when they were made is recorded: a request that has ended is not sent again.
create function airlock.redrive_page(most int) returns table (id uuid, outcome text, message text)
	language sql stable
	set search_path = pg_catalog, pg_temp
as $$
	select w.id, o.outcome, case when o.outcome = 'sent' then r.message end
	from (select v.id, v.wanted_at from airlock.redrive v where v.done_at is null and v.wanted_at < airlock.recorded_upto() order by v.wanted_at limit $1) w
	left join airlock.requests r on r.id = w.id and r.day = airlock.uuid_day(w.id)
	left join airlock.results x on x.id = w.id and x.day = airlock.uuid_day(w.id)
	cross join lateral (select case
		when exists (select from airlock.deleted d where d.id = w.id) then 'deleted'
		when x.id is not null then 'ended'
		when r.id is null then 'unknown'
		when exists (select from airlock.held h where h.id = w.id) then 'held'
		when r.deadline_at <= now() then 'expired'
		else 'sent' end as outcome) o
$$;

create function airlock.redrive_done(ids uuid[], outcomes text[]) returns void
	language sql volatile
	set search_path = pg_catalog, pg_temp
as $$
	update airlock.redrive d set done_at = now(), outcome = v.outcome from unnest(ids, outcomes) v(id, outcome) where d.id = v.id and d.done_at is null
$$;

revoke all on function airlock.recorded_upto(), airlock.repair_begin(uuid), airlock.repair_page(timestamptz, uuid, int),
	airlock.repair_note(timestamptz, uuid, uuid, int), airlock.repair_done(timestamptz, uuid), airlock.redrive_page(int),
	airlock.redrive_done(uuid[], text[]) from public;
grant execute on function airlock.recorded_upto(), airlock.repair_begin(uuid), airlock.repair_page(timestamptz, uuid, int),
	airlock.repair_note(timestamptz, uuid, uuid, int), airlock.repair_done(timestamptz, uuid), airlock.redrive_page(int),
	airlock.redrive_done(uuid[], text[]) to airlock_record;
reset role;
