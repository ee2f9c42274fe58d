/** Things that builds made elsewhere and could not remove: listed, and tried again. They outlive their images. */
import type { Tx } from '../../database/database.ts'
import type { Json } from '../../tasks/task.ts'
import { type Cleared, clearThings } from './_clear-things.ts'
import {
  type FactoryTables,
  type ImageRow,
  type LeftoverRow,
  parseThings,
} from './_factory-tables.ts'
import type { Ground } from './_ground.ts'
import { eventsAt } from './_records.ts'
import type { BuildLog } from '../build-log.ts'
import { isFinal } from '../factory-image.ts'
import type { Leftover } from '../factory.ts'

/** So many images are looked at by one `reap`. */
const PAGE = 1000

type Maker = Pick<ImageRow, 'id' | 'type' | 'builder' | 'target' | 'provider' | 'definition'>

/** Adds to what is left of an image. */
export async function addLeftovers(
  ground: Pick<Ground, 'context'>,
  tx: Tx,
  row: Maker,
  { left, reason }: Cleared,
): Promise<void> {
  if (left.length === 0) return
  const earlier = await readLeftovers(tx, row)
  await keepLeftovers(ground, tx, row, { left: [...earlier, ...left], reason })
}

async function readLeftovers(tx: Tx, row: Maker): Promise<readonly Json[]> {
  const known = await tx
    .as<FactoryTables>()
    .selectFrom('factory_leftovers')
    .select('things')
    .where('image_id', '=', row.id)
    .where('part', '=', partOf(row))
    .executeTakeFirst()
  return known ? parseThings(known.things) : []
}

/** In place of what was kept of this image and part before. */
async function keepLeftovers(
  { context }: Pick<Ground, 'context'>,
  tx: Tx,
  row: Maker,
  { left, reason }: Cleared,
): Promise<void> {
  const part = partOf(row)
  const tables = tx.as<FactoryTables>()
  if (left.length === 0) {
    await tables
      .deleteFrom('factory_leftovers')
      .where('image_id', '=', row.id)
      .where('part', '=', part)
      .execute()
    return
  }
  const kept = { things: JSON.stringify(left), reason }
  const { provider, definition } = row
  const created_at = context.now().getTime()
  await tables
    .insertInto('factory_leftovers')
    .values({ image_id: row.id, part, provider, definition, created_at, ...kept })
    .onConflict((conflict) => conflict.columns(['image_id', 'part']).doUpdateSet(kept))
    .execute()
}

export async function listLeftovers({ database }: Pick<Ground, 'database'>): Promise<Leftover[]> {
  const rows = await selectLeftovers({ database })
  return rows.flatMap(({ image_id: imageId, part, things, reason }) =>
    parseThings(things).map((thing) => ({ imageId, part, thing, reason })),
  )
}

/** Tries again to remove what is left, of one image or of all. */
export async function reapLeftovers(ground: Ground, imageId?: string): Promise<void> {
  for (const row of await selectLeftovers(ground, imageId)) await reapOne(ground, row)
}

async function reapOne(ground: Ground, row: LeftoverRow): Promise<void> {
  const { database, records, secrets, context } = ground
  const image = makerOf(row)
  const told: string[] = []
  const log: BuildLog = {
    event: (text) => void told.push(text),
    console: () => {},
    output: (text) => void told.push(text),
  }
  const things = parseThings(row.things)
  const record = await records.find(row.image_id)
  const { left, reason } = await clearThings(ground, {
    row: { ...image, by_owner: record?.by_owner ?? 0 },
    secrets: await secrets.read(row.image_id).catch(() => ({})), // sealed by another key: as if there were none
    things,
    signal: context.signal,
    log,
    why: 'reap',
  })
  await database.writeRows(async (tx) => {
    const made = await records.find(row.image_id, tx) // locked: whoever adds to what is left has it locked too
    const tried = new Set(things.map((thing) => JSON.stringify(thing)))
    const added = (await readLeftovers(tx, image)).filter((one) => !tried.has(JSON.stringify(one)))
    await keepLeftovers(ground, tx, image, {
      left: [...left, ...added],
      reason: left.length > 0 ? reason : row.reason,
    })
    // One that is at work needs its secrets itself.
    if (made === undefined || isFinal(made.status)) await secrets.forget(tx, row.image_id)
    if (made) await records.change(tx, made.id, {}, eventsAt(context.now(), ...told))
  })
}

async function selectLeftovers(
  { database }: Pick<Ground, 'database'>,
  imageId?: string,
): Promise<LeftoverRow[]> {
  let select = database.read<FactoryTables>().selectFrom('factory_leftovers').selectAll()
  if (imageId !== undefined) select = select.where('image_id', '=', imageId)
  return await select.orderBy('created_at').limit(PAGE).execute()
}

/** `builder/nova`, `target/ec2`. */
function partOf({ type, builder, target }: Pick<ImageRow, 'type' | 'builder' | 'target'>): string {
  return type === 'base' ? `builder/${builder}` : `target/${target}`
}

/** As the image's record said, which may be gone. */
function makerOf({ image_id: id, part, provider, definition }: LeftoverRow) {
  const [kind, name = ''] = part.split('/')
  const isBuilder = kind === 'builder'
  return {
    id,
    type: isBuilder ? ('base' as const) : ('provider' as const),
    builder: isBuilder ? name : null,
    target: isBuilder ? null : name,
    provider,
    definition,
  }
}
