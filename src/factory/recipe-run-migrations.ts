/** How the table of recipe runs came to be. Their logs stand in `factory_log`. */
import { sql } from 'kysely'
import { columnTypes } from '../database/columns.ts'
import type { Migration } from '../database/database.ts'

export const recipeRunMigrations: readonly Migration[] = [
  {
    name: 'recipe-runs-001',
    async up(db, kind) {
      const { text, integer, bytes } = columnTypes(kind)
      await sql`
        create table recipe_runs (
          id ${text} primary key not null,
          kind ${text} not null,
          status ${text} not null,
          message ${text} not null,
          percent ${integer} not null,
          recipe ${text} not null,
          image_id ${text},
          hosts ${text} not null,
          new_image_id ${text},
          ok ${integer},
          owner ${text},
          user_id ${text},
          request_id ${text} not null,
          sealed ${bytes},
          reports ${text},
          revision ${integer} not null,
          created_at ${integer} not null,
          updated_at ${integer} not null,
          ended_at ${integer},
          log_end ${integer} not null,
          log_size ${integer} not null,
          log_head ${integer} not null,
          log_lost ${integer} not null
        )`.execute(db)
      await sql`create index recipe_runs_newest on recipe_runs (owner, created_at)`.execute(db)
      await sql`create index recipe_runs_ended on recipe_runs (ended_at)`.execute(db)
    },
  },
]
