// Charts by the ECharts that NiceGUI brings, loaded when the first one is shown. A chart keeps its
// node, so that it is updated instead of built anew.

const kept = new Map();
let library = null;

const TEXT = "#8b98aa";
const COLOURS = ["#64a9ff", "#3ddbb4", "#ffbf47", "#ff7ab8", "#b69cff", "#ff9f5a", "#5fe3c0", "#c8e06a"];

export function barChart(names, values, unit, colours) {
  return chart("bars", 150, {
    grid: { left: 8, right: 34, top: 14, bottom: 4, containLabel: true },
    xAxis: { type: "category", data: names, name: unit, nameTextStyle: { color: TEXT }, axisLabel: { color: TEXT, fontSize: 10, interval: 0 }, axisTick: { show: false } },
    yAxis: { type: "value", minInterval: 1, axisLabel: { color: TEXT, fontSize: 10 }, splitLine: { lineStyle: { color: "#1f2937" } } },
    series: [{ type: "bar", barWidth: "72%", data: values.map((value, index) => ({ value, itemStyle: { color: colours[index], borderRadius: [3, 3, 0, 0] } })) }],
  });
}

export function lineChart(key, names, series) {
  return chart(key, 210, {
    color: COLOURS,
    grid: { left: 8, right: 28, top: 34, bottom: 4, containLabel: true },
    legend: { top: 0, left: 0, type: "scroll", itemWidth: 14, itemHeight: 8, textStyle: { color: TEXT, fontSize: 11 }, pageIconColor: TEXT, pageTextStyle: { color: TEXT } },
    tooltip: { trigger: "axis", renderMode: "richText", backgroundColor: "#1a2330", borderColor: "#263142", textStyle: { color: "#e4eaf2", fontSize: 11 } },
    xAxis: { type: "category", data: names, boundaryGap: false, axisLabel: { color: TEXT, fontSize: 10 } },
    yAxis: { type: "value", axisLabel: { color: TEXT, fontSize: 10 }, splitLine: { lineStyle: { color: "#1f2937" } } },
    series: series.map((one) => ({ type: "line", name: one.name, data: one.values, symbolSize: 4, lineStyle: { width: 1.8 } })),
  });
}

function chart(key, height, option) {
  let one = kept.get(key);
  if (!one) {
    const node = document.createElement("div");
    node.className = "chart";
    node.style.height = `${height}px`;
    one = { node, drawn: null, option: null };
    kept.set(key, one);
    new ResizeObserver(() => one.drawn?.resize()).observe(node);
  }
  one.option = { animation: false, ...option };
  draw(one);
  return one.node;
}

async function draw(one) {
  library ??= import("/vendor/echarts/index.js");
  const { echarts } = await library;
  if (!one.drawn) {
    if (!one.node.isConnected || !one.node.clientWidth) return;
    one.drawn = echarts.init(one.node, null, { renderer: "canvas" });
  }
  const told = JSON.stringify(one.option);
  if (told !== one.told) {
    one.told = told;
    one.drawn.setOption(one.option, { replaceMerge: ["series"] });
  }
}
