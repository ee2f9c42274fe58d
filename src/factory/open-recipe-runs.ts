/** Puts the runs of recipes together, of the parts that it is handed. */
import type { Json } from '../tasks/task.ts'
import { offerAll } from './engine/_ground.ts'
import { readLog } from './engine/_log-table.ts'
import { News } from './engine/_news.ts'
import { checkHosts, checkImage, checkRecipe } from './recipe-run/_check-order.ts'
import { followRun } from './recipe-run/_follow-run.ts'
import { type RunGround, runKinds, typeOf } from './recipe-run/_run-kinds.ts'
import type { RecipeRunsParts } from './recipe-run/_run-parts.ts'
import { type RunRow, RunTable, toRun } from './recipe-run/_run-table.ts'
import { type KeptOrder, sealOrder } from './recipe-run/_sealed-order.ts'
import type {
  HostsOrder,
  PackOrder,
  ProvisionOrder,
  RecipeRun,
  RecipeRunKind,
  RecipeRuns,
  ValidateOrder,
} from './recipe-runs.ts'
import { packFiles } from './template-files.ts'

export type { RecipeRunsParts } from './recipe-run/_run-parts.ts'

/** Its `kinds` are for the worker, which does what was ordered. */
export function openRecipeRuns(parts: RecipeRunsParts): RecipeRuns {
  const { database, ledger, context, settings } = parts
  const table = new RunTable(database, { now: context.now, maxLogSize: settings.maxLogSize })
  const ground: RunGround = { ...parts, table, news: new News() }
  return {
    pack: async (order) => await add(ground, 'pack', order),
    validate: async (order) => await add(ground, 'validate', order),
    provision: async (order) => await add(ground, 'provision', order),
    get: async (id) => toRun(await table.demand(id)),
    list: async (query) => (await table.list(query)).map(toRun),
    readReports: async (id) => {
      const { reports, ended_at: endedAt } = await table.demand(id)
      return reports === null || endedAt === null ? undefined : (JSON.parse(reports) as Json[])
    },
    readLog: async (id, after, limit) => {
      await table.demand(id)
      return await readLog(database, id, after, limit)
    },
    follow: (id, signal, after) => followRun(ground, id, signal, after),
    cancel: async (id) => {
      await table.demand(id)
      await ledger.cancel(id)
      await offerAll(parts, [id])
    },
    kinds: runKinds(ground),
  }
}

type AnyOrder = PackOrder | ValidateOrder | ProvisionOrder

/** Checks an order, and adds it as a task. */
async function add(ground: RunGround, kind: RecipeRunKind, order: AnyOrder): Promise<RecipeRun> {
  const { database, ledger, table, context, settings, secretKey } = ground
  const template = await checkRecipe(order.recipe, order.args, ground.parseTemplate)
  const destinations = 'hosts' in order ? checkHosts(order) : []
  if (!('hosts' in order)) await checkImage(ground.catalog, order.imageId)
  const id = context.newId()
  const now = context.now()
  const { owner, userId, requestId } = order.requester
  const row: RunRow = {
    id,
    kind,
    status: 'pending',
    message: '',
    percent: 0,
    recipe: template.name,
    image_id: 'hosts' in order ? null : order.imageId,
    hosts: JSON.stringify('hosts' in order ? order.hosts : []),
    new_image_id: kind === 'pack' ? context.newId() : null,
    ok: null,
    owner,
    user_id: userId,
    request_id: requestId,
    sealed: sealOrder(secretKey, id, {
      ...toKept(order, destinations),
      byOwner: ground.ordersByOwner,
    }),
    reports: null,
    revision: 1,
    created_at: now.getTime(),
    updated_at: now.getTime(),
    ended_at: null,
    log_end: 0,
    log_size: 0,
    log_head: 0,
    log_lost: 0,
  }
  await database.writeRows(async (tx) => {
    await table.prune(tx, new Date(now.getTime() - settings.keepMs))
    await table.insert(tx, row)
    await ledger.add(tx, { id, type: typeOf(kind), owner, userId, requestId, input: {} })
  })
  await offerAll(ground, [id])
  return toRun(row)
}

function toKept(order: AnyOrder, destinations: readonly string[]): KeptOrder {
  const { recipe, args, commandTimeoutMs } = order
  const kept = { text: recipe.text, files: packFiles(recipe.files), args, commandTimeoutMs }
  if ('hosts' in order) return { ...kept, login: toLogin(order, destinations) }
  const { trusted = false, rootFileSystem } = order
  const { name, clean = true }: Partial<PackOrder> = order
  return { ...kept, image: { trusted, rootFileSystem, name, clean } }
}

function toLogin(
  { privateKey, knownHosts, sudo = false }: HostsOrder,
  destinations: readonly string[],
) {
  return { destinations, privateKey, knownHosts, sudo }
}
