// What the page in view says of itself: how wide it is, and where its plots, their lines and their
// words are. Places are left, top, width and height on the page.
(() => {
  const place = (it) => {
    const box = it.getBoundingClientRect();
    return [box.left + scrollX, box.top + scrollY, box.width, box.height];
  };
  const shown = (it) => it.getClientRects().length > 0;
  const stroke = (line) => getComputedStyle(line).stroke;
  const plot = (chart) => {
    const drawings = [...chart.querySelectorAll(':scope > svg')].filter(shown);
    const svg = drawings[0];
    const [axis, upwards] = [...svg.querySelectorAll('.axis')].map(place);
    return {
      id: svg.querySelector('title').id.replace(/-(roomy|narrow)-title$/, ''),
      drawings: drawings.length,
      figure: place(chart),
      ground: getComputedStyle(chart).backgroundColor,
      frame: [axis[0], upwards[1], axis[2], upwards[3]],
      series: [...chart.querySelectorAll('.legend li')].map((entry) => ({
        name: entry.textContent.trim(),
        colour: stroke(entry.querySelector('polyline')),
      })),
      levels: [...svg.querySelectorAll('.slo line')].map((line) => ({
        place: place(line),
        colour: stroke(line),
      })),
      words: [...svg.querySelectorAll('text')].map((word) => ({
        text: word.textContent,
        place: place(word),
      })),
    };
  };
  const plots = [...document.querySelectorAll('.chart')].map(plot);
  const seen = {
    width: innerWidth,
    dark: matchMedia('(prefers-color-scheme: dark)').matches,
    paper: matchMedia('print').matches,
    needs: document.scrollingElement.scrollWidth,
    plots,
    // Tables of which a part is out of sight, less the wide ones, which are made to be scrolled.
    cut: [...document.querySelectorAll('.tables .scroll:not([tabindex])')]
      .filter((box) => box.scrollWidth > box.clientWidth)
      .map((box) => box.querySelector('caption').textContent),
  };
  // With all that can be opened.
  const folded = [...document.querySelectorAll('details')];
  folded.forEach((one) => { one.open = true; });
  seen.needs = Math.max(seen.needs, document.scrollingElement.scrollWidth);
  folded.forEach((one) => { one.open = false; });
  return seen;
})()
