/** The kinds of work of the factory: one for each part, each with its own number of jobs at a time. */
import type { TaskKind } from '../../tasks/task.ts'
import { runDelete, undoDelete } from './_delete-image.ts'
import { type Ground, taskTypes } from './_ground.ts'
import { runStage } from './_run-stage.ts'
import { undoStage } from './_undo-stage.ts'

/** A stage that its server did not survive so often is not begun again. */
const ATTEMPTS = 3
/** At a time: of fitting images to one target, of pushes to one target, of deletions. */
const FITS = 2
const PUSHES = 4
const DELETIONS = 4

export function factoryKinds(ground: Ground): TaskKind[] {
  const { list, settings } = ground
  const limitOf = (name: string, usual: number) =>
    Object.hasOwn(settings.concurrency, name) ? (settings.concurrency[name] ?? usual) : usual
  const stage = (type: string, concurrency: number): TaskKind => ({
    type,
    concurrency,
    resumes: true,
    attempts: ATTEMPTS,
    run: async (lease) => await runStage(ground, lease),
    undo: async (task, reason, lease) => await undoStage(ground, task, reason, lease),
  })
  return [
    ...list.builders.map(({ name, concurrency }) =>
      stage(taskTypes.build(name), limitOf(name, concurrency)),
    ),
    ...list.targets.flatMap(({ name, concurrency }) => [
      stage(taskTypes.make(name), limitOf(name, FITS)),
      stage(taskTypes.push(name), limitOf(name, concurrency ?? PUSHES)),
    ]),
    {
      type: taskTypes.delete,
      concurrency: DELETIONS,
      resumes: true,
      attempts: ATTEMPTS,
      run: async (lease) => await runDelete(ground, lease),
      undo: async (task, reason, lease) => await undoDelete(ground, task, reason, lease),
    },
  ]
}
