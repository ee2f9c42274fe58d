import { defineValidator } from '../validator.ts'
import { Type } from '../../schema/type.ts'

/** Source: Sahara `plugins/images.py`, SaharaArgumentSetterValidator. */
export const argumentSet = defineValidator<{ argument_name: string; value: string }>({
  name: 'argument_set',
  summary: 'gives an argument a value for the steps that follow',
  description: 'Declared or not; in every mode; changes nothing in the guest.',
  example: `
- argument_set:
    argument_name: java_version
    value: "1.8"`,
  schema: Type.Object(
    {
      argument_name: Type.String({ minLength: 1, description: 'the argument to set' }),
      value: Type.String({ description: 'its new value' }),
    },
    { additionalProperties: false },
  ),
  load: (spec, loading) => {
    loading.makesArgument(spec.argument_name, ['argument_name'])
    return spec
  },
  title: ({ argument_name, value }) => `set ${argument_name} to ${value}`,
  check: (options, scene) => {
    scene.args.set(options.argument_name, options.value)
    return Promise.resolve([])
  },
})
