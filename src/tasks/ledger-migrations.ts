import { sql } from 'kysely'
import type { Migration } from '../database/database.ts'

/**
 * The ledger's table. Times are milliseconds since the epoch, flags 0 or 1, structures JSON. A task is unfinished
 * while `expires_at` is null; the indexes of unfinished tasks are therefore as small as what is under way.
 */
export const ledgerMigrations: readonly Migration[] = [
  {
    name: 'tasks-001',
    async up(db) {
      await db.schema
        .createTable('tasks')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('type', 'text', (column) => column.notNull())
        .addColumn('status', 'text', (column) => column.notNull())
        .addColumn('owner', 'text')
        .addColumn('user_id', 'text')
        .addColumn('request_id', 'text')
        .addColumn('subject', 'text')
        .addColumn('hidden', 'integer', (column) => column.notNull())
        .addColumn('input', 'text', (column) => column.notNull())
        .addColumn('result', 'text', (column) => column.notNull())
        .addColumn('message', 'text', (column) => column.notNull())
        .addColumn('done', 'bigint', (column) => column.notNull())
        .addColumn('total', 'bigint')
        .addColumn('leftovers', 'text', (column) => column.notNull())
        .addColumn('attempts', 'integer', (column) => column.notNull())
        .addColumn('cancelled', 'integer', (column) => column.notNull())
        .addColumn('failing', 'text')
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('updated_at', 'bigint', (column) => column.notNull())
        .addColumn('expires_at', 'bigint')
        .addColumn('holder', 'text')
        .addColumn('lease_until', 'bigint')
        .execute()
      // At most one unfinished task of a subject.
      await sql`create unique index tasks_busy on tasks (subject)
        where expires_at is null and subject is not null`.execute(db)
      await sql`create index tasks_unfinished on tasks (created_at) where expires_at is null`.execute(
        db,
      )
      await sql`create index tasks_expired on tasks (expires_at) where expires_at is not null`.execute(
        db,
      )
      await sql`create index tasks_listed on tasks (created_at, id) where hidden = 0`.execute(db)
      await sql`create index tasks_subject on tasks (subject, created_at) where hidden = 0`.execute(
        db,
      )
      await sql`create index tasks_owner on tasks (owner, created_at) where hidden = 0`.execute(db)
    },
  },
]
