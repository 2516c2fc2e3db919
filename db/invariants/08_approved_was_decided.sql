-- 8. What is approved, or was executed, has an approval as its last decision, with the votes that the row counts.
select a.id::text as id, format('it is %s and its last decision is %s', a.status, coalesce(e.event, 'not there')) as what
  from actions a
  left join lateral (select * from events e
                      where e.action_id = a.id and e.event in ('approved', 'rejected', 'reopened')
                      order by e.seq desc limit 1) e on true
 where a.status in ('approved', 'executing', 'executed', 'failed', 'outcome_unknown')
   and (e.event is distinct from 'approved'
        or a.decided_at is distinct from e.at
        or (e.data ->> 'votes_approve', e.data ->> 'votes_reject', e.data ->> 'votes_abstain')
           is distinct from (a.votes_approve::text, a.votes_reject::text, a.votes_abstain::text))
