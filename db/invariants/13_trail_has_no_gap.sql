-- 13. The events of an action are numbered without gaps, each holds the hash of the one before, and the row the last one's.
select action_id::text as id, format('event %s does not follow the one before it', seq) as what
  from (select *, row_number() over action as nth,
               lag(hash, 1, decode(repeat('00', 32), 'hex')) over action as hash_before
          from events window action as (partition by action_id order by seq)) each
 where seq <> nth or prev_hash <> hash_before
union all
select a.id::text, 'its row does not know the last event'
  from actions a
  left join events e on e.action_id = a.id and e.seq = a.event_seq
 where e.hash is distinct from a.event_hash
    or exists (select from events later where later.action_id = a.id and later.seq > a.event_seq)
