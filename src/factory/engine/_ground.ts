/** What the engine's files share: the parts it was handed, and what it made of them. */
import type { Tx } from '../../database/database.ts'
import type { NewTask } from '../../tasks/task.ts'
import type { Callbacks } from './_callbacks.ts'
import { type ImageRow, toImage } from './_factory-tables.ts'
import type { News } from './_news.ts'
import type { PartList } from './_part-list.ts'
import type { Records } from './_records.ts'
import type { SecretTable } from './_secrets.ts'
import type { FactoryParts } from './factory-parts.ts'
import type { TargetContent } from '../tdl/target-content.ts'
import { OWNERS_REACH, type Reach } from '../reach.ts'

export interface Ground extends FactoryParts {
  readonly records: Records
  readonly secrets: SecretTable
  readonly list: PartList
  readonly news: News
  readonly callbacks: Callbacks
  /** Targets by the names that they have here. */
  readonly targetContent: TargetContent
  /** Where the next job may make its directory: a path that says which process works there. */
  readonly newWorkDir: () => string
  /** Removes what processes that died left there: commands die beside servers that live on. */
  readonly clearWorkDirs: () => Promise<unknown>
}

/** Kinds of work: one for each part, so that each has its own number of jobs at a time. */
export const taskTypes = {
  build: (builder: string) => `factory-build/${builder}`,
  make: (target: string) => `factory-make/${target}`,
  push: (target: string) => `factory-push/${target}`,
  delete: 'factory-delete',
} as const

/** At most one task at a time is about an image. A body of the same id has its own. */
export function subjectOf(imageId: string): string {
  return `factory/${imageId}`
}

/**
 * What the host reads for whoever ordered an image, whichever process makes it. Guests of its owner are made of what
 * strangers wrote, as all others, and reach no more.
 */
export function reachOf(
  { reach }: Pick<Ground, 'reach'>,
  { by_owner: byOwner }: Pick<ImageRow, 'by_owner'>,
): Reach {
  return byOwner === 1 ? { ...OWNERS_REACH, uplink: reach.uplink } : reach
}

/** The task that makes an image. */
function taskFor(row: ImageRow, id: string): NewTask {
  const type =
    row.type === 'base'
      ? taskTypes.build(row.builder ?? '')
      : taskTypes[row.type === 'target' ? 'make' : 'push'](row.target ?? '')
  return newTask(row, id, type)
}

export function newTask(row: ImageRow, id: string, type: string): NewTask {
  return {
    id,
    type,
    owner: row.owner,
    userId: row.user_id,
    requestId: row.request_id,
    subject: subjectOf(row.id),
    hidden: true, // the image is its record; nobody lists it as a task of the image service
    input: { factoryImageId: row.id },
  }
}

/** Adds the task that makes an image, in the transaction that made it possible. */
export async function addTask({ ledger, context }: Ground, tx: Tx, row: ImageRow): Promise<string> {
  const { id } = await ledger.add(tx, taskFor(row, context.newId()))
  return id
}

/** Tells workers of tasks. They are found without, so that this may fail. */
export async function offerAll(
  { offer, context }: Pick<Ground, 'offer' | 'context'>,
  ids: readonly string[],
): Promise<void> {
  for (const id of ids)
    await offer(id).catch((error: unknown) =>
      context.log.warn('task.not-offered', { taskId: id, error: String(error) }),
    )
}

/** What has changed is heard by those who follow, and by callbacks if it is the status. */
export function announce({ news, callbacks }: Ground, rows: readonly ImageRow[]): void {
  for (const row of rows) {
    news.tell(row.id)
    callbacks.tell(toImage(row))
  }
}
