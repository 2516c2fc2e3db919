"""Who there is, and what they may do."""

from db.connect import Connection
from db.read.pages import Row


def list_people(conn: Connection) -> list[Row]:
    """Everybody in the newest snapshot of the directory, with the `roles` they hold and whom they may act for now."""
    return conn.execute(
        """
        select p.id, p.name,
               coalesce(array_agg(g.role order by g.role) filter (where g.role is not null), '{}') as roles,
               coalesce(array_agg(g.acts_for order by g.acts_for) filter (where g.acts_for is not null), '{}') as acts_for
          from people p
          left join grants g on g.person_id = p.id and g.starts_at <= clock_timestamp()
                            and (g.ends_at is null or clock_timestamp() < g.ends_at)
         where p.snapshot = (select max(snapshot) from people)
         group by p.id, p.name order by p.id
        """
    ).fetchall()


def list_holders(conn: Connection, role: str) -> list[Row]:
    """Who holds a role now, and who may act for such a person (`acts_for`): since when and until when."""
    return conn.execute(
        """
        with held as (
            select * from grants where starts_at <= clock_timestamp() and (ends_at is null or clock_timestamp() < ends_at)
        )
        select person_id as id, acts_for, starts_at, ends_at from held
         where role = %(role)s or acts_for in (select person_id from held where role = %(role)s)
         order by acts_for is not null, person_id, acts_for
        """,
        {"role": role},
    ).fetchall()
