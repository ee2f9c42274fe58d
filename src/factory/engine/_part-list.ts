/** The OS builders and cloud targets that there are, by name. */
import { Failure } from '../../base/failure.ts'
import { didYouMean } from '../../schema/find-faults.ts'
import type { ImageRow } from './_factory-tables.ts'
import type { CloudTarget } from '../cloud-target.ts'
import type { PartInfo } from '../factory.ts'
import type { OsBuilder } from '../os-builder.ts'

export class PartList {
  readonly builders: readonly OsBuilder[]
  readonly targets: readonly CloudTarget[]
  readonly #byName = new Map<string, CloudTarget>()

  constructor(builders: readonly OsBuilder[], targets: readonly CloudTarget[]) {
    this.builders = builders
    this.targets = targets
    // A name wins over an alias, and the first over those after it.
    for (const target of targets) this.#byName.set(target.name, target)
    for (const target of targets)
      for (const alias of target.aliases ?? [])
        if (!this.#byName.has(alias)) this.#byName.set(alias, target)
  }

  /** Fails with PART_UNKNOWN. */
  builder(name: string): OsBuilder {
    const found = this.builders.find((one) => one.name === name)
    if (found) return found
    throw unknown(
      'OS builder',
      name,
      this.builders.map((one) => one.name),
    )
  }

  /** By its name or an alias. Fails with PART_UNKNOWN. */
  target(name: string): CloudTarget {
    const found = this.#byName.get(name)
    if (found) return found
    throw unknown('cloud target', name, [...this.#byName.keys()])
  }

  /** What makes an image; undefined: it is no longer there, as plugins go. */
  partOf({ type, builder, target }: Pick<ImageRow, 'type' | 'builder' | 'target'>) {
    if (type === 'base') return this.builders.find(({ name }) => name === builder)
    return this.#byName.get(target ?? '')
  }

  /** A target's own name, of an alias too. */
  nameOf(target: string | undefined): string | undefined {
    return target === undefined ? undefined : (this.#byName.get(target)?.name ?? target)
  }

  describe(): PartInfo[] {
    return [
      ...this.builders.map(({ name, summary, options }) => ({
        type: 'os' as const,
        name,
        aliases: [],
        summary,
        options,
      })),
      ...this.targets.map(({ name, aliases = [], summary, options, provider }) => ({
        type: 'cloud' as const,
        name,
        aliases,
        summary,
        options,
        ...(provider && { provider }),
      })),
    ]
  }
}

function unknown(kind: string, name: string, known: readonly string[]): Failure {
  const shown = name.slice(0, 100)
  const hint = didYouMean(shown, known)
  return new Failure('PART_UNKNOWN', `no ${kind} '${shown}'${hint}`, {
    details: { name: shown, known },
  })
}
