import { Failure } from '../base/failure.ts'
import type { Image } from '../images/image.ts'
import { findFaults } from '../schema/find-faults.ts'
import type { ImportStep, IngestWishes } from './step.ts'

/**
 * The configured steps, in order. `options` holds what can be set about any of them. Fails with CONFIG_INVALID
 * (no such step, or options that it cannot have).
 */
export function chooseSteps(
  names: readonly string[],
  steps: readonly ImportStep[],
  options: Readonly<Record<string, unknown>>,
): ImportStep[] {
  return names.map((name) => {
    const step = steps.find((one) => one.name === name)
    if (step === undefined)
      throw new Failure(
        'CONFIG_INVALID',
        `import.steps: no step '${name}'; there are ${steps.map((one) => one.name).join(', ')}`,
      )
    const [fault] = findFaults(step.options, options)
    if (fault !== undefined)
      throw new Failure('CONFIG_INVALID', `import.${fault.path.join('.')}: ${fault.message}`)
    return step
  })
}

/** What the steps on bytes want of the pass in which an image's data is taken in. */
export function ingestWishes(
  steps: readonly ImportStep[],
  options: unknown,
  image: Pick<Image, 'diskFormat' | 'containerFormat'>,
): IngestWishes {
  let wishes: IngestWishes = {}
  for (const step of steps)
    if (step.on === 'bytes') wishes = { ...wishes, ...step.wish(options, image) }
  return wishes
}
