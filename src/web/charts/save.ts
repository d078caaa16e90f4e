/** Saves a chart as it is seen, in a file that needs no style sheet. */

const inlined = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "stroke-linecap",
  "stroke-linejoin",
  "opacity",
  "paint-order",
  "font-family",
  "font-size",
  "font-weight",
  "text-anchor",
  "dominant-baseline",
] as const;

const SVG = "http://www.w3.org/2000/svg";

/** @param picture the element around the picture, with a canvas or not */
export function saveSvg(name: string, picture: HTMLElement): void {
  saveFile(`${name}.svg`, new Blob([svgText(picture)], { type: "image/svg+xml" }));
}

/** Three pixels for each on the screen. */
export function savePng(name: string, picture: HTMLElement, scale = 3): void {
  const { width, height } = picture.querySelector("svg")!.getBoundingClientRect();
  const image = new Image();
  image.addEventListener("load", () => {
    const canvas = document.createElement("canvas");
    canvas.width = scale * width;
    canvas.height = scale * height;
    canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => blob && saveFile(`${name}.png`, blob));
  });
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svgText(picture))}`;
}

/** Gives the reader a file. */
export function saveFile(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function svgText(picture: HTMLElement): string {
  const shown = picture.querySelector("svg")!;
  const copy = shown.cloneNode(true) as SVGSVGElement;
  copy.setAttribute("xmlns", SVG);
  const originals = shown.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((element, i) => {
    const style = getComputedStyle(originals[i]!);
    for (const property of inlined) {
      const value = style.getPropertyValue(property);
      if (value !== "") element.setAttribute(property, value);
    }
    element.removeAttribute("class");
  });
  const canvas = picture.querySelector("canvas");
  if (canvas) copy.prepend(imageOf(canvas, shown));
  copy.prepend(ground());
  return new XMLSerializer().serializeToString(copy);
}

function ground(): SVGElement {
  const rectangle = document.createElementNS(SVG, "rect");
  rectangle.setAttribute("width", "100%");
  rectangle.setAttribute("height", "100%");
  rectangle.setAttribute("fill", getComputedStyle(document.body).backgroundColor);
  return rectangle;
}

function imageOf(canvas: HTMLCanvasElement, svg: SVGSVGElement): SVGElement {
  const [at, frame] = [canvas.getBoundingClientRect(), svg.getBoundingClientRect()];
  const image = document.createElementNS(SVG, "image");
  const zoom = frame.width / svg.viewBox.baseVal.width;
  image.setAttribute("x", String((at.left - frame.left) / zoom));
  image.setAttribute("y", String((at.top - frame.top) / zoom));
  image.setAttribute("width", String(at.width / zoom));
  image.setAttribute("height", String(at.height / zoom));
  image.setAttribute("preserveAspectRatio", "none");
  image.setAttribute("image-rendering", "pixelated");
  image.setAttribute("href", canvas.toDataURL());
  return image;
}
