import type { FastifyInstance } from 'fastify'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import type { StreamEvent } from '../../bytes/event-stream.ts'
import type { GivenTemplate } from '../../factory/factory.ts'
import type { RecipeRun, RecipeRuns } from '../../factory/recipe-runs.ts'
import type { RecipeFault } from '../../recipes/recipe.ts'
import { sendJson, sendNothing } from '../_answer.ts'
import type { EventStreams } from '../_event-streams.ts'
import { checkAllowed, openDoor, type Visit } from '../_door.ts'
import { ownerSeenBy } from '../_factory-door.ts'
import {
  checkSchema,
  orderPack,
  orderProvision,
  orderValidate,
  packSchema,
  provisionSchema,
  readTemplate,
  validateSchema,
} from '../_recipe-order.ts'
import { parseWindow, toLogEvent } from './build-contents.ts'

const RECIPES = '/ingot/v1/recipes'
const RUNS = '/ingot/v1/recipe-runs'
const RUN = `${RUNS}/:run_id`

/** Recipes behind the API: checked, and run on images of the catalog and on hosts. */
export function recipeRunRoutes(
  app: FastifyInstance,
  service: Service,
  streams: EventStreams,
): void {
  const { recipeRuns: runs, config } = service
  const door = openDoor(service)
  const requireRootPassword = config.factory.require_root_password

  const answer = (visit: Visit, run: RecipeRun) =>
    sendJson(visit.reply.header('location', `${RUNS}/${run.id}`), 202, toWireRun(run))

  app.post(
    `${RECIPES}/check`,
    { schema: { summary: 'whether a recipe or TDL has faults, and which', body: checkSchema } },
    door.allowed('factory_get', async (visit) => {
      const given = await readTemplate(visit)
      const { template, faults } = await inspect(given, requireRootPassword)
      const told = template && { kind: template.kind, name: template.name }
      const valid = template !== undefined
      return sendJson(visit.reply, 200, { valid, ...told, faults: faults.map(toWireFault) })
    }),
  )

  app.post(
    `${RECIPES}/pack`,
    { schema: { summary: 'make a new image of one, as a recipe says', body: packSchema } },
    door.allowed('factory_create', async (visit) => answer(visit, await orderPack(visit, runs))),
  )

  app.post(
    `${RECIPES}/validate`,
    { schema: { summary: 'check an image or hosts by a recipe', body: validateSchema } },
    door.allowed('factory_create', async (visit) =>
      answer(visit, await orderValidate(visit, runs)),
    ),
  )

  app.post(
    `${RECIPES}/provision`,
    { schema: { summary: 'bring hosts to the state of a recipe', body: provisionSchema } },
    door.allowed('recipe_provision', async (visit) =>
      answer(visit, await orderProvision(visit, runs)),
    ),
  )

  app.get(
    RUNS,
    { schema: { summary: 'list runs of recipes, newest first' } },
    door.allowed('factory_get', async (visit) => {
      const found = await runs.list({ owner: ownerSeenBy(visit) })
      return sendJson(visit.reply, 200, { runs: found.map((run) => toWireRun(run)) })
    }),
  )

  app.get(
    RUN,
    { schema: { summary: 'show a run of a recipe, with its reports once it has ended' } },
    door.known(async (visit) => {
      const run = await findRun(visit, runs)
      return sendJson(visit.reply, 200, {
        ...toWireRun(run),
        reports: (await runs.readReports(run.id)) ?? null,
      })
    }),
  )

  app.get(
    `${RUN}/events`,
    { schema: { summary: 'what happens in a run, as server-sent events, until it has ended' } },
    door.known(async (visit) => {
      const { id } = await findRun(visit, runs)
      const { after } = parseWindow(visit.request)
      await streams.send(visit, (signal) => eventsOf(runs, id, after, signal))
    }),
  )

  app.post(
    `${RUN}/cancel`,
    { schema: { summary: 'stop a run of a recipe' } },
    door.known(async (visit) => {
      const { id, owner } = await findRun(visit, runs)
      checkAllowed(visit, 'factory_control', { project_id: owner, owner })
      await runs.cancel(id)
      return sendNothing(visit.reply)
    }),
  )
}

/** What reads templates is loaded with the first one: it is much, and a service for images alone never wants it. */
async function inspect(given: GivenTemplate, requireRootPassword: boolean) {
  const [{ inspectTemplate }, { validatorMap }] = await Promise.all([
    import('../../factory/parse-template.ts'),
    import('../../app/builtin.ts'),
  ])
  return inspectTemplate(given, { validators: validatorMap(), requireRootPassword })
}

/** One of another project is not there. Fails with TASK_NOT_FOUND. */
async function findRun(visit: Visit, runs: RecipeRuns): Promise<RecipeRun> {
  const { caller, service, request } = visit
  const { run_id: id = '' } = request.params as { run_id?: string }
  const run = await runs.get(id)
  const target = { project_id: run.owner, owner: run.owner }
  const isMine = run.owner !== null && run.owner === caller.projectId
  if ((isMine || caller.isAdmin) && service.policy.allows('factory_get', caller, target)) return run
  throw new Failure('TASK_NOT_FOUND', `no run ${id}`, { details: { id } })
}

async function* eventsOf(
  runs: RecipeRuns,
  id: string,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  for await (const event of runs.follow(id, signal, after))
    yield event.kind === 'log' ? toLogEvent(event.entry) : toRunEvent('run', event.run)
  if (!signal.aborted) yield toRunEvent('end', await runs.get(id))
}

function toRunEvent(event: string, run: RecipeRun): StreamEvent {
  return { event, data: JSON.stringify(toWireRun(run)) }
}

function toWireFault({ severity, place, message }: RecipeFault) {
  const { line, column } = place
  return { severity, line, column, message }
}

function toWireRun(run: RecipeRun) {
  return {
    id: run.id,
    kind: run.kind,
    status: run.status,
    message: run.message,
    percent: run.percent,
    recipe: run.recipe,
    image_id: run.imageId,
    hosts: run.hosts,
    new_image_id: run.newImageId,
    ok: run.ok,
    owner: run.owner,
    user_id: run.userId,
    created_at: run.createdAt.toISOString(),
    updated_at: run.updatedAt.toISOString(),
  }
}
