-- 3. After an attempt of which nobody knows, another one is made only at a service that deduplicates by its key.
select t.action_id::text as id, format('attempt %s is unknown and another one followed', t.number) as what
  from attempts t
  join actions a on a.id = t.action_id
  join definitions d on d.kind = 'action_type' and d.name = a.action_type and d.version = a.action_type_version
 where t.state = 'unknown'
   and d.body ->> 'guarantee' is distinct from 'deduplicates'
   and exists (select from attempts later where later.action_id = t.action_id and later.number > t.number)
