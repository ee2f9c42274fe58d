/** Which OS builder makes a base image. */
import { Failure } from '../../base/failure.ts'
import { findFaults } from '../../schema/find-faults.ts'
import type { PartList } from './_part-list.ts'
import { asFailure, takeOptions } from './_take-options.ts'
import type { JsonObject } from '../factory-image.ts'
import type { OsBuilder } from '../os-builder.ts'
import type { Template } from '../template.ts'

export interface BuilderWish {
  readonly template: Template
  readonly parameters: JsonObject
  /** The order's own. */
  readonly builder: string | undefined
  /** The configuration's. */
  readonly usual: string | undefined
}

/**
 * The one that is named by the order or its parameters; else the one that a recipe's `base` is written for; else the
 * configuration's, and those after it, the first that does not refuse.
 *
 * Fails with PART_UNKNOWN (no such builder, or none that can), TEMPLATE_INVALID (the named one refuses), REQUEST_INVALID.
 */
export function chooseBuilder(parts: PartList, wish: BuilderWish): OsBuilder {
  const { template, parameters } = wish
  const byParameter = typeof parameters['builder'] === 'string' ? parameters['builder'] : undefined
  const named = wish.builder ?? byParameter
  if (named !== undefined) {
    const builder = parts.builder(named)
    const options = takeOptions(builder.options, { ...parameters, builder: named })
    const faults = findFaults(builder.options, options)
    if (faults.length > 0) throw asFailure(faults, `parameters of builder ${named}`)
    const why = builder.refuses?.(template, options)
    if (why === undefined) return builder
    throw new Failure('TEMPLATE_INVALID', `builder ${named} cannot build by this template: ${why}`)
  }
  const refusals: string[] = []
  let fault: Failure | undefined
  for (const builder of inOrder(parts, wish)) {
    const { name } = builder
    const options = takeOptions(builder.options, parameters)
    const why = builder.refuses?.(template, options)
    const faults = why === undefined ? findFaults(builder.options, options) : []
    if (why === undefined && faults.length === 0) return builder
    if (faults.length > 0) fault ??= asFailure(faults, `parameters of builder ${name}`)
    else refusals.push(`${name}: ${why}`)
  }
  throw fault ?? noneCan(template, refusals)
}

function inOrder({ builders }: PartList, { template, usual }: BuilderWish): OsBuilder[] {
  const isFirst = ({ name }: OsBuilder) =>
    template.kind === 'recipe' && template.recipe.base !== undefined
      ? name === 'bootstrap'
      : name === usual
  return [...builders.filter(isFirst), ...builders.filter((one) => !isFirst(one))]
}

function noneCan({ os, name }: Template, refusals: readonly string[]): Failure {
  const what = os ? `${os.name} ${os.version} ${os.arch}` : `recipe ${name}`
  const reasons = refusals.length === 0 ? 'there is none' : refusals.join('; ')
  return new Failure('PART_UNKNOWN', `no OS builder can make ${what} (${reasons})`, {
    details: { refusals },
  })
}
