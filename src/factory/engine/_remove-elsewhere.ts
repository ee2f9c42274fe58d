/** What a factory image is elsewhere goes with its record: at its provider, or in the cloud where it was built. */
import { Failure } from '../../base/failure.ts'
import type { Lease } from '../../tasks/task.ts'
import { type ImageRow, toImage } from './_factory-tables.ts'
import type { Ground } from './_ground.ts'
import { maskOf, maskProvider } from './_mask-of.ts'
import { reachedProvider } from './_reached-provider.ts'
import { openRecorder } from './_run-stage.ts'
import type { Secrets } from './_secrets.ts'
import { stopInTime } from './_stop-in-time.ts'
import type { ClearContext } from '../os-builder.ts'

/** Whether there is something at a provider that has to be removed. */
export function isAtProvider(row: ImageRow): boolean {
  return row.type === 'provider' && row.identifier_on_provider !== null
}

/** That it is gone already is no failure. Fails as the part does, without secrets. */
export async function removeElsewhere(
  ground: Ground,
  { row, secrets, lease }: { row: ImageRow; secrets: Secrets; lease: Lease },
  signal: AbortSignal,
): Promise<void> {
  const mask = maskOf(ground, row, secrets)
  const recorder = openRecorder(ground, row, lease, mask)
  const scene = { ...ground.context, signal, buildLog: recorder.log, imageId: row.id }
  try {
    if (row.type === 'base') {
      const builder = ground.list.builders.find(({ name }) => name === row.builder)
      await stopInTime(builder?.remove?.(toImage(row), scene) ?? Promise.resolve(), signal)
    } else if (isAtProvider(row)) await removeAtProvider(ground, row, secrets, scene, mask)
  } catch (error) {
    if (error instanceof Failure) throw new Failure(error.code, mask.apply(error.message))
    throw error
  } finally {
    await recorder.close()
  }
}

async function removeAtProvider(
  ground: Ground,
  row: ImageRow,
  secrets: Secrets,
  scene: ClearContext,
  mask: ReturnType<typeof maskOf>,
): Promise<void> {
  const target = ground.list.target(row.target ?? '')
  const provider = await reachedProvider(ground, row, secrets)
  maskProvider(mask, target, provider)
  scene.buildLog.event(`removing ${row.identifier_on_provider} at ${provider.name}`)
  const removing = target.remove?.(toImage(row), provider, scene) ?? Promise.resolve()
  await stopInTime(removing, scene.signal)
}
