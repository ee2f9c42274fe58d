/** How many images of one project may be under way at a time: exactly so many, also when several servers are asked. */
import { sql } from 'kysely'
import { Failure } from '../../base/failure.ts'
import type { Tx } from '../../database/database.ts'
import { lockName } from '../../database/lock-rows.ts'
import type { FactoryTables } from './_factory-tables.ts'
import type { Ground } from './_ground.ts'

/** As their index says it, which is only as long as what is under way. */
const UNDER_WAY = sql<boolean>`status in ('NEW', 'PENDING', 'BUILDING')`

/**
 * Does the work that begins images of a project, while no other work does; before that, nothing was locked.
 * Fails with QUOTA_EXCEEDED when more are under way then than may be.
 */
export async function withinLimit<T>(
  { settings: { maxUnderWay } }: Pick<Ground, 'settings'>,
  tx: Tx,
  owner: string | null,
  begin: () => Promise<T>,
): Promise<T> {
  if (maxUnderWay < 0) return await begin()
  await lockName(tx, `factory/under-way/${owner ?? ''}`)
  const begun = await begin()
  if (!(await areMore(tx, owner, maxUnderWay))) return begun
  const whose = owner === null ? 'no project' : `project ${owner}`
  throw new Failure(
    'QUOTA_EXCEEDED',
    `of ${whose} there would be more than ${maxUnderWay} images under way, which is the most`,
    {
      details: { limit: maxUnderWay },
      fix: 'Wait until some have ended, or cancel them; whoever runs the service can raise factory.max_under_way.',
    },
  )
}

async function areMore(tx: Tx, owner: string | null, most: number): Promise<boolean> {
  const one = await tx
    .as<FactoryTables>()
    .selectFrom('factory_images')
    .select('id')
    .where('owner', owner === null ? 'is' : '=', owner)
    .where(UNDER_WAY)
    .offset(most)
    .limit(1)
    .executeTakeFirst()
  return one !== undefined
}
