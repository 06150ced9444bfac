// The things in the synthetic scenes. Each draw function works in a unit frame: the thing stands on (0,0), y goes down (up is negative), its larger
// side is about 1, and everything stays within x in -0.8..0.8, y in -1.15..0.2. It draws flat colours and structure; lighting is laid over by the scene.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/rng.h"
#include "image/canvas.h"

namespace dn::synth {

enum class Kind : uint8_t { car, house, tree, person, bird, ball, count };
inline constexpr std::array<std::string_view, static_cast<size_t>(Kind::count)> kNames{"car", "house", "tree", "person", "bird", "ball"};

struct Look {
  double light = 0;    // side the light comes from in the unit frame: -1 left .. 1 right
  double pixels = 64;  // size of one unit in pixels: how fine the detail may be
  bool aloft = false;  // in the air (birds)
};

void draw_car(Canvas&, Rng&, const Look&);
void draw_house(Canvas&, Rng&, const Look&);
void draw_tree(Canvas&, Rng&, const Look&);
void draw_person(Canvas&, Rng&, const Look&);
void draw_bird(Canvas&, Rng&, const Look&);
void draw_ball(Canvas&, Rng&, const Look&);
void draw_kind(Kind, Canvas&, Rng&, const Look&);

// Things without a label, some of them easily taken for one of the classes: rocks, bushes, sign posts, crates, hay bales, cones, benches, lamps.
void draw_clutter(Canvas&, Rng&, const Look&);
// Things before the camera, drawn in pixels of the whole picture along its lower or side edge: grass blades, leaves, a fence, a post.
void draw_foreground(Canvas&, Rng&, int width, int height);

// Shared by the shapes.
Path rounded(std::span<const Point> corners, double radius);  // closed polygon with its corners cut round
Path rounded(std::initializer_list<Point> corners, double radius);
Color any_color(Rng&, double most_saturation = 0.85);  // paint and clothes: greys, whites, blacks and colours of any hue
void blob(Canvas&, Rng&, double x, double y, double rx, double ry, const Color&, double roughness);  // an uneven round patch

}  // namespace dn::synth
