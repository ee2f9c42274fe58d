/** Runs of recipes for tests: those of a whole service, whose worker carries them out. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DigestThreads } from '../bytes/digest-threads.ts'
import type { BodyParts } from '../factory/body/body.ts'
import type { RecipeRun, RecipeRuns } from '../factory/recipe-runs.ts'
import { openTestService } from './test-service.ts'

export interface TestRecipeRuns extends AsyncDisposable {
  readonly runs: RecipeRuns
  readonly bodies: BodyParts
  /** The run, once it has ended. */
  ended(run: RecipeRun): Promise<RecipeRun>
  /** All of its log. */
  logOf(run: RecipeRun): Promise<string>
  /** Everything that the database holds of runs, as text. */
  stored(): Promise<string>
  /** What runs have left in their directory. */
  leftovers(): Promise<string[]>
}

export async function openTestRecipeRuns(): Promise<TestRecipeRuns> {
  await using opened = new AsyncDisposableStack()
  const service = opened.use(await openTestService())
  const digests = opened.use(new DigestThreads())
  const { database, catalog, images, uploads, content, ledger, context, config } = service
  const runs = service.recipeRuns
  const closing = opened.move()
  return {
    runs,
    bodies: { database, catalog, images, uploads, content, ledger, digests, context },
    ended: async ({ id }) => {
      let last: RecipeRun | undefined
      for await (const event of runs.follow(id, AbortSignal.timeout(280_000), 0))
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
    leftovers: async () => {
      const names = await readdir(config.factory.work_dir ?? join(config.data_dir, 'factory'))
      return names.filter((name) => name.includes('run'))
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}
