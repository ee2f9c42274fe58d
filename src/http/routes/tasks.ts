import type { FastifyInstance } from 'fastify'
import { imageChecks } from '../../api/image-schema.ts'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import type { TaskQuery } from '../../tasks/ledger.ts'
import type { Json, Task } from '../../tasks/task.ts'
import { sendJson } from '../_answer.ts'
import { baseUrlOf } from '../_base-url.ts'
import { readJsonObject } from '../_body.ts'
import { openDoor, type Visit } from '../_door.ts'
import { checkNewImage, parseNewImage } from '../_new-image.ts'
import { readSiteProperties } from '../_site-schema.ts'
import { toListedTask, toWireTask } from '../_task-wire.ts'

const TASKS = '/v2/tasks'
const STATUSES = ['pending', 'processing', 'success', 'failure'] as const
const SORT_KEYS = ['created_at', 'updated_at', 'type', 'status', 'id'] as const

/** The old API of tasks, for administrators. Tasks are forgotten by themselves, and deleted by nobody. */
export function taskRoutes(app: FastifyInstance, service: Service): void {
  const { ledger, config } = service
  const door = openDoor(service)
  const site = readSiteProperties(config.image)
  const checks = { ...imageChecks(config.image, site), required: site.required }

  app.get(
    TASKS,
    { schema: { summary: 'list tasks' } },
    door.allowed('tasks_api_access', async ({ request, reply }) => {
      const params = new URLSearchParams(request.raw.url?.split('?', 2)[1])
      const { marker, ...query } = parseTaskQuery(params, config.image)
      const after = marker === null ? undefined : await findMarker(service, marker)
      const found =
        query.limit === 0 ? [] : await ledger.list({ ...query, ...(after && { after }) })
      const last = found.length === query.limit ? found.at(-1) : undefined
      const tasks = found.map(toListedTask)
      return sendJson(reply, 200, { tasks, ...linksOf(params, last), schema: '/v2/schemas/tasks' })
    }),
  )

  app.post(
    TASKS,
    { schema: { summary: 'make an image from the web (deprecated)' } },
    door.allowed('tasks_api_access', async (visit) => {
      const { type, input } = await readJsonObject(visit)
      if (type !== 'import')
        throw new Failure(
          'REQUEST_INVALID',
          `tasks of type '${String(type)}' cannot be made; import can`,
        )
      const task = await beginImport(visit, input, (properties) => {
        const wanted = parseNewImage(properties, visit, checks)
        checkNewImage(wanted, visit)
        return wanted
      })
      const url = `${baseUrlOf(config, visit.request)}${TASKS}/${task.id}`
      visit.reply.header('location', url)
      return sendJson(visit.reply, 201, toWireTask(task))
    }),
  )

  app.get(
    `${TASKS}/:task_id`,
    { schema: { summary: 'show a task' } },
    door.allowed('tasks_api_access', async ({ request, reply }) => {
      const { task_id: id = '' } = request.params as { task_id?: string }
      return sendJson(reply, 200, toWireTask(await findTask(service, id)))
    }),
  )

  app.delete(
    `${TASKS}/:task_id`,
    { schema: { summary: 'refused: tasks are forgotten in their time' } },
    door.known(async () => {
      throw new Failure(
        'METHOD_NOT_ALLOWED',
        'tasks are not deleted: they are forgotten when the time has come that expires_at says',
        { details: { allow: 'GET' } },
      )
    }),
  )
}

/** A task that makes an image and fills it from the web. Fails with REQUEST_INVALID, and as imports do. */
async function beginImport(
  { service, caller }: Visit,
  input: unknown,
  parse: (properties: Record<string, unknown>) => Parameters<Service['images']['create']>[0],
): Promise<Task> {
  const {
    import_from: uri,
    import_from_format: format,
    image_properties: properties,
  } = asObject(input, 'input')
  if (typeof uri !== 'string' || typeof format !== 'string')
    throw new Failure(
      'REQUEST_INVALID',
      "'input' needs the texts 'import_from' and 'import_from_format'",
    )
  const given = asObject(properties, 'image_properties')
  const image = await service.images.create(
    parse({ disk_format: format, container_format: 'bare', ...given }),
  )
  try {
    const task = await service.imports.begin(image, {
      method: 'web-download',
      parameters: { uri },
      stores: [service.stores.default.id],
      allStores: false,
      allMustSucceed: true,
      caller,
      asTask: { import_from: uri, import_from_format: format, image_properties: given },
    })
    if (task !== undefined) return task
    throw new Failure('IMAGE_STATE', `image ${image.id} has its data already`)
  } catch (error) {
    await service.images.delete(image.id)
    throw error
  }
}

/** Of a body that was read as JSON. */
function asObject(value: unknown, name: string): Record<string, Json> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, Json>
  throw new Failure('REQUEST_INVALID', `'${name}' is an object`)
}

async function findTask({ ledger }: Service, id: string): Promise<Task> {
  const task = await ledger.get(id)
  if (task !== undefined && !task.hidden) return task
  throw new Failure('TASK_NOT_FOUND', `no task ${id}`, { details: { id } })
}

async function findMarker({ ledger }: Service, id: string): Promise<Task> {
  const task = await ledger.get(id)
  if (task !== undefined) return task
  throw new Failure('REQUEST_INVALID', `the marker ${id} is no task`)
}

function parseTaskQuery(
  params: URLSearchParams,
  { page_size: usual, max_page_size: most }: Service['config']['image'],
): Omit<TaskQuery, 'after'> & { marker: string | null; limit: number } {
  const limit = Number(params.get('limit') ?? usual)
  if (!Number.isSafeInteger(limit) || limit < 0 || params.get('limit') === '')
    throw new Failure('REQUEST_INVALID', `limit is a whole number, found '${params.get('limit')}'`)
  const status = oneOf(params, 'status', STATUSES)
  const [type, owner] = [params.get('type'), params.get('owner')]
  return {
    limit: Math.min(limit, most),
    marker: params.get('marker'),
    sort: {
      key: oneOf(params, 'sort_key', SORT_KEYS) ?? 'created_at',
      direction: oneOf(params, 'sort_dir', ['asc', 'desc']) ?? 'desc',
    },
    ...(status !== undefined && { status }),
    ...(type !== null && { type }),
    ...(owner !== null && { owner }),
  }
}

function oneOf<const Word extends string>(
  params: URLSearchParams,
  name: string,
  words: readonly Word[],
): Word | undefined {
  const text = params.get(name)
  const found = words.find((word) => word === text)
  if (text === null || found !== undefined) return found
  throw new Failure('REQUEST_INVALID', `${name} is one of ${words.join(', ')}, found '${text}'`)
}

/** Where this listing begins, and where it goes on if the page was full. */
function linksOf(
  params: URLSearchParams,
  last: Task | undefined,
): { first: string; next?: string } {
  params.delete('marker')
  const first = pathOf(params)
  if (last === undefined) return { first }
  params.set('marker', last.id)
  return { first, next: pathOf(params) }
}

function pathOf(params: URLSearchParams): string {
  const query = params.toString()
  return query === '' ? TASKS : `${TASKS}?${query}`
}
