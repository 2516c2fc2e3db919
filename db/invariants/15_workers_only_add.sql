-- 15. The role of the workers cannot rewrite history, and the triggers that hold the rules are on.
select format('%I', c.relname) as id, format('ops_worker may %s it', lower(privilege)) as what
  from pg_class c
  cross join unnest(array['UPDATE', 'DELETE', 'TRUNCATE']) as privilege
 where c.relnamespace = 'ops_approval'::regnamespace and c.relkind = 'r'
   and has_table_privilege('ops_worker', c.oid, privilege)
   and not (privilege = 'UPDATE' and c.relname in ('actions', 'votes', 'people', 'schedule'))
union all
select format('%I.%I', table_name, column_name), 'ops_worker may update it'
  from information_schema.columns
 where table_schema = 'ops_approval'
   and (table_name in ('events', 'definitions', 'keys')
        or (table_name, column_name) in (('messages', 'content_sha256'), ('messages', 'received_at'),
                                         ('attempts', 'action_id'), ('attempts', 'number'), ('attempts', 'token')))
   and has_column_privilege('ops_worker', format('ops_approval.%I', table_name), column_name, 'UPDATE')
union all
select format('%I.%I', c.relname, t.tgname), 'the trigger is off'
  from pg_trigger t
  join pg_class c on c.oid = t.tgrelid
 where c.relnamespace = 'ops_approval'::regnamespace and t.tgenabled in ('D', 'R')
