// WebGL2 needs some lines for what is one idea: a program, a texture.

/** A program is linked, with its uniforms by name. */
export class Program {
  private readonly uniforms = new Map<string, WebGLUniformLocation | null>();
  private readonly handle: WebGLProgram;
  private checked = false;

  /** Begin to compile; what fails is told by `use`, so that compiling may go on beside other work. */
  constructor(private readonly gl: WebGL2RenderingContext, private readonly vertex: string, private readonly fragment: string) {
    this.handle = gl.createProgram();
    const shaders: [number, string][] = [[gl.VERTEX_SHADER, this.vertex], [gl.FRAGMENT_SHADER, this.fragment]];
    for (const [type, source] of shaders) {
      const shader = gl.createShader(type)!;
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(this.handle, shader);
    }
    gl.linkProgram(this.handle);
  }

  /** Return whether `use` would not have to wait. */
  ready(): boolean {
    const parallel = this.gl.getExtension("KHR_parallel_shader_compile");
    return !parallel || this.gl.getProgramParameter(this.handle, parallel.COMPLETION_STATUS_KHR);
  }

  /** Make the program current. Throws an Error with the compiler's words where it could not be built. */
  use(): void {
    const { gl, handle } = this;
    if (!this.checked && !gl.getProgramParameter(handle, gl.LINK_STATUS) && !gl.isContextLost()) {
      const logs = gl.getAttachedShaders(handle)!.map((shader) => gl.getShaderInfoLog(shader));
      throw new Error(`the shader does not compile: ${logs.join(" ")} ${gl.getProgramInfoLog(handle)}`);
    }
    this.checked = true;
    gl.useProgram(handle);
  }

  at(name: string): WebGLUniformLocation | null {
    if (!this.uniforms.has(name)) this.uniforms.set(name, this.gl.getUniformLocation(this.handle, name));
    return this.uniforms.get(name)!;
  }
}

/** This vertex shader covers the picture with one triangle. */
export const EVERYWHERE = `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0, 1); }`;

/** Make a texture without mipmaps, whose texels `fill` sets. */
export function texture(gl: WebGL2RenderingContext, target: number, fill: () => void, filter: number = gl.NEAREST): WebGLTexture {
  const made = gl.createTexture();
  gl.bindTexture(target, made);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  fill();
  const parameters: [number, number][] = [
    [gl.TEXTURE_MIN_FILTER, filter], [gl.TEXTURE_MAG_FILTER, filter],
    [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE], [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
  ];
  for (const [name, value] of parameters) gl.texParameteri(target, name, value);
  return made;
}

/** A target is a picture of premultiplied colour that is drawn into: of bytes, or of halves of floats where the device can. */
export class Target {
  readonly framebuffer: WebGLFramebuffer;
  readonly texture: WebGLTexture;

  constructor(private readonly gl: WebGL2RenderingContext, readonly width: number, readonly height: number, bytes = false) {
    const halves = !bytes && (gl.getExtension("EXT_color_buffer_float") ?? gl.getExtension("EXT_color_buffer_half_float"));
    this.texture = texture(gl, gl.TEXTURE_2D, () =>
      gl.texStorage2D(gl.TEXTURE_2D, 1, halves ? gl.RGBA16F : gl.RGBA8, width, height), gl.LINEAR);
    this.framebuffer = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.framebuffer);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.texture, 0);
  }

  free(): void {
    this.gl.deleteFramebuffer(this.framebuffer);
    this.gl.deleteTexture(this.texture);
  }
}
