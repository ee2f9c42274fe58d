import { Type } from '../../schema/type.ts'
import type { RecordStep } from '../step.ts'

interface Options {
  readonly inject: Readonly<Record<string, string>>
  readonly inject_ignore_roles: readonly string[]
}

/** Sets properties on what users import, whatever they say themselves. Source: Glance's plugin of that name. */
export const injectMetadata: RecordStep<Options> = {
  on: 'record',
  name: 'inject-metadata',
  summary: 'sets fixed properties on what users import',
  options: Type.Object({
    inject: Type.Record(Type.String(), Type.String(), { description: 'the properties' }),
    inject_ignore_roles: Type.Array(Type.String(), {
      description: 'whose images are left alone; default [admin]',
    }),
  }),
  describe: async ({ inject, inject_ignore_roles: ignored }, { roles }) => {
    const isIgnored = ignored.some((role) => roles.includes(role.toLowerCase()))
    return isIgnored ? {} : { properties: inject }
  },
}
