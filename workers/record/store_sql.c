/*
 * store_sql: what a batch with duplicates does in the database.
 *
 * The first row of an id wins.  The same bytes again are dropped; other bytes for an id that has ended go whole to results_late, and their cost
 * counts if they tell of another answer.  Two gates' decisions that contradict each other on the same bytes raise an alert.
 */
#include "store_sql.h"

#define STAGED(name) "create temporary table if not exists staged_" name " (like airlock." name " including defaults) on commit delete rows"

const char *const store_stage[] = {
	STAGED("requests"), STAGED("results"), STAGED("held"), STAGED("dead_letters"), STAGED("deleted"), NULL,
};

#define ADD_TO_LEDGER \
	" on conflict (tenant, day) do update set results = l.results + excluded.results, refused = l.refused + excluded.refused," \
	" input_tokens = l.input_tokens + excluded.input_tokens, output_tokens = l.output_tokens + excluded.output_tokens," \
	" cost_micro_usd = l.cost_micro_usd + excluded.cost_micro_usd"
#define SAME_REQUEST "from pg_temp.staged_results s join airlock.results x on x.id = s.id and x.day = s.day"

const char *const store_merge[] = {
	"insert into airlock.requests select * from pg_temp.staged_requests order by ctid on conflict do nothing",
	"insert into airlock.alerts (at, by_program, severity, code, text, subject)"
	" select now(), 'record', 'critical', 'request_differs', 'Two signed requests with the same id and different bytes.', s.id::text"
	" from pg_temp.staged_requests s join airlock.requests x on x.id = s.id and x.day = s.day where s.message_sha256 <> x.message_sha256",
	"with gone_in as (insert into airlock.results select * from pg_temp.staged_results order by ctid on conflict do nothing"
	" returning tenant, finished_at, status, input_tokens, output_tokens, cost_micro_usd)"
	" insert into airlock.ledger as l select tenant, (finished_at at time zone 'UTC')::date, count(*), count(*) filter (where status = 'refused'),"
	" sum(input_tokens), sum(output_tokens), sum(cost_micro_usd) from gone_in group by 1, 2 order by 1, 2" ADD_TO_LEDGER,
	"with late as (insert into airlock.results_late (id, day, tenant, status, code, input_tokens, output_tokens, cost_micro_usd, message_sha256, message)"
	" select s.id, s.day, s.tenant, s.status, s.code, s.input_tokens, s.output_tokens, s.cost_micro_usd, s.message_sha256, s.message " SAME_REQUEST
	" where s.message_sha256 <> x.message_sha256 and s.status <> 'deleted' on conflict do nothing returning id, message_sha256)"
	" insert into airlock.ledger as l select s.tenant, (s.finished_at at time zone 'UTC')::date, 0, 0, sum(s.input_tokens), sum(s.output_tokens),"
	" sum(s.cost_micro_usd) from (select distinct on (id, message_sha256) * from pg_temp.staged_results order by id, message_sha256) s"
	" join late on late.id = s.id and late.message_sha256 = s.message_sha256 join airlock.results x on x.id = s.id and x.day = s.day"
	" where s.answer_sha256 is distinct from x.answer_sha256 group by 1, 2 order by 1, 2" ADD_TO_LEDGER,
	"insert into airlock.alerts (at, by_program, severity, code, text, subject)"
	" select now(), 'record', 'critical', 'verdicts_contradict', v.gate || ': ' || v.late || ' after ' || v.first || ' on the same bytes', s.id::text "
	SAME_REQUEST " cross join lateral (values ('screen', s.screen_sha256, x.screen_sha256, s.screen_decision, x.screen_decision),"
	" ('inspect', s.inspect_sha256, x.inspect_sha256, s.inspect_decision, x.inspect_decision),"
	" ('review', s.review_sha256, x.review_sha256, s.review_decision, x.review_decision)) v(gate, mine, theirs, late, first)"
	" where s.message_sha256 <> x.message_sha256 and v.mine = v.theirs and v.late <> v.first",
	"insert into airlock.held select * from pg_temp.staged_held order by ctid on conflict do nothing",
	"insert into airlock.dead_letters select * from pg_temp.staged_dead_letters order by ctid on conflict do nothing",
	"insert into airlock.deleted select * from pg_temp.staged_deleted order by ctid on conflict do nothing",
	NULL,
};
