-- Why: requests and results are partitioned by day so that old days go as a whole.  RECORD may not create tables; this one function may.
set role airlock_owner;

-- Makes the partitions from yesterday to `ahead` days from now, and of each day of the last month that has rows in the default partition.
-- A day's rows are moved out of the default partition first, as PostgreSQL refuses the new one otherwise.  Returns how many were made.
create function airlock.partitions_make(ahead int) returns int
	language plpgsql security definer
	set search_path = pg_catalog, pg_temp
	set lock_timeout = '5s'
as $$
declare
	parent text;
	child text;
	d date;
	today date := (now() at time zone 'UTC')::date;
	made int := 0;
begin
	if ahead < 0 or ahead > 60 then
		raise exception 'ahead: 0 to 60 days' using errcode = '22023';
	end if;
	perform pg_advisory_xact_lock(hashtext('airlock.partitions_make'));
	foreach parent in array array['requests', 'results'] loop
		for d in execute format('select g::date from generate_series($1 - 1, $1 + $2, interval ''1 day'') g union '
		                        'select day from airlock.%I where day between $1 - 31 and $1 + $2 order by 1', parent || '_default')
		         using today, ahead loop
			child := parent || '_p' || to_char(d, 'YYYYMMDD');
			continue when to_regclass('airlock.' || quote_ident(child)) is not null;
			-- The default partition first: an insert holds its parent weakly and then the default one, so nobody waits in a ring.
			execute format('lock table airlock.%I in access exclusive mode', parent || '_default');
			execute format('create table airlock.%I (like airlock.%I including defaults including constraints)', child, parent);
			execute format('with moved as (delete from airlock.%I where day = $1 returning *) insert into airlock.%I select * from moved',
			               parent || '_default', child) using d;
			execute format('alter table airlock.%I attach partition airlock.%I for values from (%L) to (%L)', parent, child, d, d + 1);
			made := made + 1;
		end loop;
	end loop;
	return made;
end
$$;
revoke all on function airlock.partitions_make(int) from public;
select airlock.partitions_make(3);
reset role;
