-- Why: every program reaches the database as a role of its own that holds just its rights (the grants are in 0006).
-- Roles are made without password, so nobody can log in until the set-up gives them one; existing ones are kept as they are.
-- Runs as a superuser, or as airlock_owner when that owns the database and may create roles; else an administrator makes the roles first.
do $$
declare
	name text;
begin
	foreach name in array array['airlock_owner', 'airlock_record', 'airlock_gateway', 'airlock_analyst'] loop
		if not exists (select from pg_roles where rolname = name) then
			execute format('create role %I login', name);
		end if;
	end loop;
	if (select pg_has_role(current_user, datdba, 'usage') from pg_database where datname = current_database()) then
		execute format('revoke all on database %I from public', current_database());
		execute format('grant connect, create, temporary on database %I to airlock_owner', current_database());
		-- The recorder stages a batch with duplicates in a temporary table.
		execute format('grant connect, temporary on database %I to airlock_record', current_database());
		execute format('grant connect on database %I to airlock_gateway, airlock_analyst', current_database());
	end if;
	if (select rolsuper or rolcreaterole from pg_roles where rolname = current_user) then
		-- Whoever analyses only looks, and not for ever.
		alter role airlock_analyst set default_transaction_read_only = on;
		alter role airlock_analyst set statement_timeout = '5min';
	end if;
end
$$;

set role airlock_owner;
create schema airlock;
comment on schema airlock is 'What Airlock records: requests, results, verdicts.';
revoke all on schema airlock from public;
reset role;
