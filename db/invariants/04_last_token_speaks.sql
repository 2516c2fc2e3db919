-- 4. What an attempt came to was said with the token that was the highest then: a stale one changes nothing.
select action_id::text as id, format('event %s, %s, has token %s while %s was the last', seq, event, token, highest) as what
  from (select action_id, seq, event, (data ->> 'token')::bigint as token,
               max((data ->> 'token')::bigint) filter (where event = 'executing')
                   over (partition by action_id order by seq) as highest
          from events
         where event in ('executing', 'executed', 'failed', 'retry_scheduled', 'outcome_unknown') and data ? 'token') said
 where token is distinct from highest
