/** Runs of recipes for tests: on the image service with real parts, with a worker of their own. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { validatorMap } from '../app/builtin.ts'
import { openDatabase } from '../database/open-database.ts'
import { catalogMigrations } from '../images/catalog-migrations.ts'
import { metadefMigrations } from '../metadefs/open-metadefs.ts'
import { ledgerMigrations } from '../tasks/ledger-migrations.ts'
import { factoryMigrations } from '../factory/factory-migrations.ts'
import type { BodyParts } from '../factory/body/body.ts'
import { openRecipeRuns } from '../factory/open-recipe-runs.ts'
import { parseTemplate } from '../factory/parse-template.ts'
import { recipeRunMigrations } from '../factory/recipe-run-migrations.ts'
import type { RecipeRun, RecipeRuns } from '../factory/recipe-runs.ts'
import { DigestThreads } from '../bytes/digest-threads.ts'
import { openLocalQueue } from '../tasks/local-queue.ts'
import { openWorker } from '../tasks/worker.ts'
import { openTestService } from './test-service.ts'

export interface TestRecipeRuns extends AsyncDisposable {
  readonly runs: RecipeRuns
  readonly bodies: BodyParts
  readonly workDirectory: string
  /** The run, once it has ended. */
  ended(run: RecipeRun): Promise<RecipeRun>
  /** All of its log. */
  logOf(run: RecipeRun): Promise<string>
  /** Everything that the database holds of runs, as text. */
  stored(): Promise<string>
}

export async function openTestRecipeRuns({ works = true } = {}): Promise<TestRecipeRuns> {
  await using opened = new AsyncDisposableStack()
  const service = opened.use(await openTestService())
  const { catalog, images, uploads, content, ledger, context, config } = service
  const inside = async (name: string) => {
    await mkdir(join(config.data_dir, name), { recursive: true })
    return join(config.data_dir, name)
  }
  const migrations = [
    ...catalogMigrations,
    ...ledgerMigrations,
    ...metadefMigrations,
    ...factoryMigrations,
    ...recipeRunMigrations,
  ]
  const sqlite = join(config.data_dir, 'catalog.db')
  const database = opened.use(await openDatabase({ sqlite }, migrations, context))
  const digests = opened.use(new DigestThreads())
  const bodies = { database, catalog, images, uploads, content, ledger, digests, context }
  const queue = opened.use(openLocalQueue(context))
  const workDirectory = await inside('runs')
  const validators = validatorMap()
  const runs = openRecipeRuns({
    ...bodies,
    offer: async (taskId) => await queue.offer(taskId),
    parseTemplate: async (given) =>
      await parseTemplate(given, { validators, requireRootPassword: false }),
    secretKey: Buffer.alloc(32, 7),
    workDirectory,
    cacheDirectory: await inside('runs-cache'),
    settings: { maxLogSize: 1024 * 1024, keepMs: 3_600_000 },
  })
  if (works) {
    const options = { ledger, queue, kinds: runs.kinds, concurrency: 4, sweepMs: 60_000 }
    opened.use(await openWorker(options, context))
  }
  const closing = opened.move()
  return {
    runs,
    bodies,
    workDirectory,
    ended: async ({ id }) => {
      let last: RecipeRun | undefined
      for await (const event of runs.follow(id, AbortSignal.timeout(120_000), 0))
        if (event.kind === 'run') last = event.run
      if (last === undefined) throw new Error('it told nothing of itself')
      return last
    },
    logOf: async ({ id }) => (await runs.readLog(id)).map(({ text }) => text).join('\n'),
    stored: async () => {
      const tables = database.read<Record<string, Record<string, unknown>>>()
      const rows = [
        await tables.selectFrom('recipe_runs').selectAll().execute(),
        await tables.selectFrom('factory_log').selectAll().execute(),
        await tables.selectFrom('tasks').selectAll().execute(),
      ]
      return JSON.stringify(rows, (_key, value: unknown) =>
        value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
      )
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}
